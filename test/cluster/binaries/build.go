package binaries

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Builder builds the programs of the repository at Root into BinDir(Root).
type Builder struct {
	// Root is the root of the repository.
	Root string
	// Sets are what is built, in this order.
	Sets []Set
	// Progress gets one line of text at least every few seconds while something is built.
	Progress func(line string)
}

// Ensure returns the directory of up-to-date programs: the one that EnvDir names, unchecked for its versions, else BinDir, after
// building what is not up to date. Builds of the same repository wait for each other. When ctx ends, the build is stopped and
// BinDir keeps what it had.
func (b *Builder) Ensure(ctx context.Context) (string, error) {
	if os.Getenv(EnvDir) != "" {
		dir, err := Find(b.Sets...)
		if err == nil {
			b.Progress("using the programs in " + dir + " (" + EnvDir + ")")
		}
		return dir, err
	}
	dir := BinDir(b.Root)
	for _, set := range b.Sets {
		if err := b.ensure(ctx, dir, set); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func (b *Builder) ensure(ctx context.Context, dir string, set Set) error {
	inputs, err := b.inputs(ctx, set)
	if err != nil {
		return err
	}
	if upToDate(dir, inputs, set) {
		return nil
	}
	unlock, err := b.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if upToDate(dir, inputs, set) { // by the build that held the lock
		return nil
	}
	return b.build(ctx, dir, inputs, set)
}

func upToDate(dir, inputs string, set Set) bool {
	return readStamp(dir, set).Inputs == inputs && len(missingIn(dir, set)) == 0
}

// inputs hashes what the set is built from.
func (b *Builder) inputs(ctx context.Context, set Set) (string, error) {
	toolchain, err := b.run(ctx, set, "env", "GOVERSION", "GOFLAGS", "GOOS", "GOARCH")
	if err != nil {
		return "", err
	}
	return hashInputs(b.Root, string(toolchain), set)
}

// lock takes the lock that serialises builds. It is the kernel's (flock), so a killed build leaves none behind.
func (b *Builder) lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(StateDir(b.Root), 0o755); err != nil {
		return nil, fmt.Errorf("make the directory for the programs: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(StateDir(b.Root), "build.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the build lock: %w", err)
	}
	for waited := false; ; waited = true {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil // closing releases the lock
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("take the build lock: %w", err), file.Close())
		}
		if !waited {
			b.Progress("another build of the programs is running; waiting for it")
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for the other build: %w", context.Cause(ctx)), file.Close())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// build builds the set into a new directory beside dir and then moves the programs over, the stamp last.
func (b *Builder) build(ctx context.Context, dir, inputs string, set Set) error {
	const temporaryPrefix = "bin.new-"
	state := StateDir(b.Root)
	leftovers, err := filepath.Glob(filepath.Join(state, temporaryPrefix+"*"))
	if err != nil {
		return fmt.Errorf("look for leftovers of killed builds: %w", err)
	}
	for _, leftover := range leftovers {
		if err := os.RemoveAll(leftover); err != nil {
			return fmt.Errorf("remove the leftovers of a killed build: %w", err)
		}
	}
	temporary, err := os.MkdirTemp(state, temporaryPrefix)
	if err != nil {
		return fmt.Errorf("make a directory for the build: %w", err)
	}
	defer func() { _ = os.RemoveAll(temporary) }() // what stays is removed by the next build
	begin := time.Now()
	b.Progress("resolving " + set.dir + " (the first time Go downloads its modules)")
	versions, err := b.versions(ctx, set)
	if err != nil {
		return err
	}
	for _, p := range set.programs {
		if err := b.buildProgram(ctx, set, p, versions, temporary); err != nil {
			return err
		}
	}
	stamp := Stamp{Inputs: inputs, Versions: versions}
	if err := install(temporary, dir, set, stamp); err != nil {
		return err
	}
	b.Progress(fmt.Sprintf("built %s in %s", strings.Join(Names(set), ", "), time.Since(begin).Round(time.Second)))
	return nil
}

func (b *Builder) buildProgram(ctx context.Context, set Set, p program, versions map[string]string, target string) error {
	total, err := b.countPackages(ctx, set, p)
	if err != nil {
		return err
	}
	b.Progress(fmt.Sprintf("building %s %s", p.name, versions[p.module]))
	args := append([]string{"build", "-v", "-o", filepath.Join(target, p.name)}, buildFlags(versions[kubernetesModule])...)
	return b.compile(ctx, set, append(args, p.pkg), p.name, total)
}

// versions asks Go which versions of the programs' modules are selected. A module of this repository has none.
func (b *Builder) versions(ctx context.Context, set Set) (map[string]string, error) {
	wanted := map[string]string{}
	for _, p := range set.programs {
		wanted[p.module] = ""
	}
	output, err := b.run(ctx, set, append([]string{"list", "-m", "-json=Path,Version"}, slices.Sorted(maps.Keys(wanted))...)...)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(output))
	for decoder.More() {
		var found struct{ Path, Version string }
		if err := decoder.Decode(&found); err != nil {
			return nil, fmt.Errorf("read the answer of go list: %w", err)
		}
		wanted[found.Path] = found.Version
	}
	return wanted, nil
}

// install moves the programs from one directory to another of the same file system. The old stamp goes first and the new one comes
// last, so that a half-done move is never taken for up to date. Programs that run keep their old file.
func install(from, to string, set Set, stamp Stamp) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("make the directory for the programs: %w", err)
	}
	if err := removeStamp(to, set); err != nil {
		return err
	}
	for _, name := range Names(set) {
		if err := os.Rename(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
			return fmt.Errorf("install %s: %w", name, err)
		}
	}
	return writeStamp(to, set, stamp)
}
