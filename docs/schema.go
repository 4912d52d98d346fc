// Package docs is the folder of the documentation. What the program itself shows
// of it is embedded here.
package docs

import _ "embed" // for Schema

// Schema is the JSON schema of whimbrel.yaml, for editors. It is made of the types
// that a configuration is read into and of the words in configuration.md.
//
//go:embed whimbrel.schema.json
var Schema string
