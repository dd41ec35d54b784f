export declare const MODULE_FILE: string;
export declare const assembleMask: () => Promise<string>;
