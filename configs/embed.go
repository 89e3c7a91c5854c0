// Package configs holds the sample files that the binary carries.
package configs

import _ "embed"

// Catalog is the demo catalog, which `reckoner dev` uses unless it is given another. Nobody changes it.
//
//go:embed catalog.yaml
var Catalog []byte

// Settings is the commented document of every setting.
//
//go:embed reckoner.yaml
var Settings []byte
