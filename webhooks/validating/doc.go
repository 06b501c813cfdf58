// Package validating says what is wrong with a DataPowerService or a DataPowerMonitor.
//
// It is pure, so the webhook and the reconcile use the same functions. The rules are those of the schema, which it
// repeats because a stored object can be older than the schema, and those that a schema cannot say: whether the version
// exists, whether names are names, what excludes what. All errors of an object come back at once. Each names the field,
// the kind of the offending value (string, integer, ...) but never the value, which may be a secret, and the remedy.
//
// Warnings are about fields that have no effect, and about what the catalogue of versions and licences does not know.
package validating
