package config

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Files are the files of a gateway, or those that its pod mounts: slash-separated relative path to content.
type Files map[string][]byte

// Folders of a gateway below /opt/ibm/datapower.
const (
	FolderConfig      = "drouter/config"
	FolderLocal       = "drouter/local"
	FolderUserCerts   = "root/secure/usrcerts"
	FolderSharedCerts = "root/secure/sharedcerts"
)

// maxFile is the largest file that ReadDir takes. The API server keeps no larger objects.
const maxFile = 4 << 20

// ReadDir reads the files below a folder. Symbolic links are followed, as mounted ConfigMaps consist of them, except
// those of their bookkeeping, whose names begin with two dots.
func ReadDir(root string) (Files, error) {
	files := Files{}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.HasPrefix(entry.Name(), "..") {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := os.Stat(name)
		if err != nil || !info.Mode().IsRegular() || info.Size() > maxFile {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		files[filepath.ToSlash(relative)] = content
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the gateway's files: %w", err)
	}
	return files, nil
}

// In returns the paths of the files that are directly in a folder, sorted.
func (f Files) In(folder string) []string {
	var paths []string
	for name := range f {
		if path.Dir(name) == folder {
			paths = append(paths, name)
		}
	}
	slices.Sort(paths)
	return paths
}

// Folders returns the names of the folders that are directly in a folder, sorted.
func (f Files) Folders(folder string) []string {
	var names []string
	for name := range f {
		if rest, below := strings.CutPrefix(name, folder+"/"); below {
			if first, _, deeper := strings.Cut(rest, "/"); deeper {
				names = append(names, first)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// DomainFolder returns where a domain's files are below a folder: those of the default domain are in the folder itself.
func DomainFolder(folder, domain string) string {
	if domain == DefaultDomain {
		return folder
	}
	return folder + "/" + domain
}

// text returns the content of a file without the line break at its end, "" when there is none.
func (f Files) text(name string) string { return strings.TrimRight(string(f[name]), "\n") }

func (f Files) has(name string) bool {
	_, found := f[name]
	return found
}
