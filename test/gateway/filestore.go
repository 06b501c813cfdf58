package gateway

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/datapower-operator/datapower-operator/test/gateway/config"
)

// fileLocations are the directories of a domain, and where their files are. Files of certificates can be listed and not
// read.
var fileLocations = []struct {
	name, folder string
	ofDomain     bool
	secret       bool
}{
	{"local", config.FolderLocal, true, false}, {"config", config.FolderConfig, true, false},
	{"cert", config.FolderUserCerts, true, true}, {"sharedcert", config.FolderSharedCerts, false, true},
}

// filestore answers /mgmt/filestore/{domain}, its directories and its files.
func (c *call) filestore(self string) answer {
	if len(c.path) < 2 || !c.sees(c.path[1], accessRead) {
		return notFound(self)
	}
	if c.method != http.MethodGet {
		return failure(http.StatusMethodNotAllowed, self, "Method not allowed.")
	}
	root := "/mgmt/filestore/" + url.PathEscape(c.path[1])
	if len(c.path) == 2 {
		var locations []any
		for _, location := range fileLocations {
			locations = append(locations, map[string]any{"name": location.name + ":", "href": root + "/" + location.name})
		}
		return fileAnswer(self, "filestore", map[string]any{"location": locations})
	}
	for _, location := range fileLocations {
		if location.name != c.path[2] {
			continue
		}
		folder := location.folder
		if location.ofDomain {
			folder = config.DomainFolder(folder, c.path[1])
		}
		return c.filesIn(self, root, folder, location.secret)
	}
	return notFound(self)
}

// filesIn answers for a directory or a file below a folder.
func (c *call) filesIn(self, root, folder string, secret bool) answer {
	inside := strings.Join(c.path[3:], "/")
	name := folder
	if inside != "" {
		name += "/" + inside
	}
	if content, isFile := c.options.Files[name]; isFile && !secret {
		return fileAnswer(self, "file", base64.StdEncoding.EncodeToString(content))
	}
	here := root + "/" + strings.Join(c.path[2:], "/")
	var files, directories []any
	for _, path := range c.options.Files.In(name) {
		base := path[strings.LastIndex(path, "/")+1:]
		files = append(files, map[string]any{
			"name": base, "size": len(c.options.Files[path]), "modified": c.start.UTC().Format("2006-01-02 15:04:05"),
			"href": here + "/" + url.PathEscape(base),
		})
	}
	for _, base := range c.options.Files.Folders(name) {
		directories = append(directories, map[string]any{"name": c.path[2] + ":/" + base, "href": here + "/" + url.PathEscape(base)})
	}
	if len(files) == 0 && len(directories) == 0 && inside != "" {
		return notFound(self)
	}
	location := map[string]any{"name": c.path[2] + ":" + strings.TrimSuffix("/"+inside, "/"), "href": here}
	addRows(location, "file", files)
	addRows(location, "directory", directories)
	return fileAnswer(self, "filestore", map[string]any{"location": location})
}

// addRows adds rows as this interface writes them: nothing, an object, or an array.
func addRows(to map[string]any, key string, rows []any) {
	switch len(rows) {
	case 0:
	case 1:
		to[key] = rows[0]
	default:
		to[key] = rows
	}
}

func fileAnswer(self, key string, value any) answer {
	return answer{http.StatusOK, map[string]any{"_links": linksOf(self, "/mgmt/docs/filestore"), key: value}}
}
