/** A program that cannot be loaded. */

throw new Error("Cannot load: broken on purpose");
