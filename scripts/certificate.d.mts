export declare const selfSigned: () => { readonly key: Buffer; readonly cert: Buffer };
