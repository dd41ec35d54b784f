export declare const slug: (heading: string) => string;
export declare const deadLinks: (folder: string) => string[];
