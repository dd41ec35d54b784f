// npm run example <name>: runs one of the compiled examples.
const [name = ""] = process.argv.slice(2);
if (!/^\w+$/.test(name)) throw new Error("which example? See examples/README.md");
await import(new URL(`../examples/dist/${name}/server.js`, import.meta.url).href);
