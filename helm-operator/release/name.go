package release

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// maxName is the longest release name that Helm accepts.
const maxName = 53

// NameFor is the name of the release of a custom resource: that of the resource, shortened to what Helm accepts.
func NameFor(resource string) string {
	if len(resource) <= maxName {
		return resource
	}
	sum := sha256.Sum256([]byte(resource))
	digest := hex.EncodeToString(sum[:4])
	return strings.TrimRight(resource[:maxName-len(digest)-1], "-.") + "-" + digest
}
