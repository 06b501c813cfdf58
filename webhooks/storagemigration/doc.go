// Package storagemigration rewrites the objects of a custom resource definition that are stored in an old version, and
// prunes the definition's status.storedVersions, so that the old version can be removed one day.
//
// An object is rewritten by a patch of its status that changes nothing: the API server stores every object that it
// writes in the storage version, and writes one whose stored form differs even if the object does not. Such a patch
// passes no admission webhook of the resource, changes no generation, and is guarded by UID and resourceVersion. To do
// it twice does no harm, so a migration that was interrupted starts anew.
//
// Nothing but the definition's status, as somebody else watches it, tells whether there is something to do.
package storagemigration
