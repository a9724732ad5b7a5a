/** The package that the seed's "use node" example imports, as files of an app: CommonJS, as many of that age are. */
export const someNpmPackage: Readonly<Record<string, string>> = {
  "node_modules/some-npm-package/package.json": JSON.stringify({
    name: "some-npm-package",
    version: "1.0.0",
    main: "index.js",
  }),
  "node_modules/some-npm-package/index.js": `
    const { sep } = require("node:path");
    module.exports = (text) => text.toUpperCase() + sep;
  `,
};
