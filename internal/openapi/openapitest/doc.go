// Package openapitest holds the traffic of tests against the API's description: every answer must be one that the document
// promises, and a request that was taken must be one that it allows. A refused request may break whatever it likes; its
// answer may not.
package openapitest
