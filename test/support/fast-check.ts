/** Makes generators reach the sizes that properties give. */
import fc from "fast-check";

// Otherwise an array with `maxLength: 60` has at most about 10 elements.
fc.configureGlobal({ defaultSizeToMaxWhenMaxSpecified: true });
