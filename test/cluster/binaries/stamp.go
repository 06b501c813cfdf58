package binaries

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Stamp says what a set of programs was built from.
type Stamp struct {
	// Inputs is the SHA-256 (hex) of everything that decides the result: module files, Go toolchain, flags.
	Inputs string `json:"inputs"`
	// Versions are the versions of the modules that the programs come from, for example "k8s.io/kubernetes": "v1.36.3".
	Versions map[string]string `json:"versions"`
}

// hashInputs hashes the files of the set's module, the description of the Go toolchain and the flags. Each part goes in with its length, so that
// moving a byte from one part to the next changes the hash.
func hashInputs(root, toolchain string, set Set) (string, error) {
	hash := sha256.New()
	add := func(name, data string) {
		_, _ = fmt.Fprintf(hash, "%s %d\n%s", name, len(data), data) // a hash never fails to write
	}
	add("toolchain", toolchain)
	add("flags", strings.Join(buildFlags(""), "\x00"))
	for _, p := range set.programs {
		add("program", p.name+"\x00"+p.pkg)
	}
	for _, name := range set.files {
		data, err := os.ReadFile(filepath.Join(root, set.dir, name))
		if err != nil {
			return "", fmt.Errorf("read what to build: %w", err)
		}
		add(name, string(data))
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// readStamp reads the stamp of the set's programs in dir; a missing or broken one is the zero Stamp, which no inputs equal.
func readStamp(dir string, set Set) Stamp {
	data, err := os.ReadFile(filepath.Join(dir, set.stamp))
	if err != nil {
		return Stamp{}
	}
	var stamp Stamp
	if err := json.Unmarshal(data, &stamp); err != nil {
		return Stamp{}
	}
	return stamp
}

func writeStamp(dir string, set Set, stamp Stamp) error {
	data, err := json.MarshalIndent(stamp, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the stamp: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, set.stamp), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the stamp: %w", err)
	}
	return nil
}

func removeStamp(dir string, set Set) error {
	if err := os.Remove(filepath.Join(dir, set.stamp)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the old stamp: %w", err)
	}
	return nil
}
