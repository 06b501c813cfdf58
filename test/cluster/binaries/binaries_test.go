package binaries

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), mode))
}

// repository is a folder that looks like this repository as far as this package cares.
func repository(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, set := range RealNode() {
		for _, name := range set.files {
			write(t, filepath.Join(root, set.dir, name), name, 0o600)
		}
	}
	return root
}

func fill(t *testing.T, dir string) {
	t.Helper()
	for _, name := range Names(ControlPlane) {
		write(t, filepath.Join(dir, name), "#!/bin/sh\n", 0o755)
	}
}

func TestTheRepositoryIsFoundFromInside(t *testing.T) {
	root := repository(t)
	inside := filepath.Join(root, "a", "b")
	require.NoError(t, os.MkdirAll(inside, 0o755))
	for _, dir := range []string{root, inside} {
		found, err := RepositoryRoot(dir)
		require.NoError(t, err)
		assert.Equal(t, root, found)
	}
	_, err := RepositoryRoot(t.TempDir())
	require.ErrorIs(t, err, ErrNoRepository)
}

func TestProgramsAreFoundWhereTheyWereBuilt(t *testing.T) {
	t.Setenv(EnvDir, "")
	root := repository(t)
	t.Chdir(filepath.Join(root, "tools"))
	_, err := Find(ControlPlane)
	require.ErrorIs(t, err, ErrMissing)
	assert.ErrorContains(t, err, "etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubectl, kwok")
	fill(t, filepath.Join(root, ".cluster", "bin"))
	dir, err := Find(ControlPlane)
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(root, ".cluster", "bin"), dir)
}

func TestProgramsOfTheEnvironmentWin(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(EnvDir, dir)
	t.Chdir(repository(t))
	fill(t, filepath.Join(".cluster", "bin"))
	_, err := Find(ControlPlane)
	require.ErrorIs(t, err, ErrMissing, "an incomplete directory is not silently replaced")
	fill(t, dir)
	found, err := Find(ControlPlane)
	require.NoError(t, err)
	assert.Equal(t, dir, found)
}

func TestAProgramThatCannotRunIsMissing(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"when it is not there":      os.Remove,
		"when it is not executable": func(path string) error { return os.Chmod(path, 0o600) },
		"when it is no regular file": func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Mkdir(path, 0o755)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			fill(t, dir)
			assert.Empty(t, missingIn(dir, ControlPlane))
			require.NoError(t, spoil(filepath.Join(dir, "kwok")))
			assert.Equal(t, []string{"kwok"}, missingIn(dir, ControlPlane))
		})
	}
}

func TestTheHashChangesWithEveryInput(t *testing.T) {
	root := repository(t)
	hash := func() string {
		t.Helper()
		h, err := hashInputs(root, "go1.26.8", ControlPlane)
		require.NoError(t, err)
		return h
	}
	before := hash()
	assert.Len(t, before, 64)
	assert.Equal(t, before, hash(), "nothing changed")
	other, err := hashInputs(root, "go1.26.9", ControlPlane)
	require.NoError(t, err)
	seen := map[string]string{before: "the unchanged inputs", other: "another Go"}
	for _, name := range []string{"go.mod", "go.sum", "tools.go"} {
		path := filepath.Join(root, "tools", "kubernetes", name)
		write(t, path, name+" changed", 0o600)
		h := hash()
		assert.NotContains(t, seen, h, name)
		seen[h] = name
		write(t, path, name, 0o600)
	}
	write(t, filepath.Join(root, "tools", "kubernetes", "go.mod"), "go.modgo", 0o600)
	write(t, filepath.Join(root, "tools", "kubernetes", "go.sum"), ".sum", 0o600)
	assert.NotContains(t, seen, hash(), "bytes that move from one file to the next")
	require.NoError(t, os.Remove(filepath.Join(root, "tools", "kubernetes", "go.sum")))
	_, err = hashInputs(root, "go1.26.8", ControlPlane)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestABrokenStampEqualsNothing(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir)
	assert.False(t, upToDate(dir, "abc", ControlPlane), "no stamp")
	require.NoError(t, writeStamp(dir, ControlPlane, Stamp{Inputs: "abc"}))
	assert.True(t, upToDate(dir, "abc", ControlPlane))
	assert.False(t, upToDate(dir, "abd", ControlPlane), "other inputs")
	require.NoError(t, os.Remove(filepath.Join(dir, "kwok")))
	assert.False(t, upToDate(dir, "abc", ControlPlane), "a program was removed")
	fill(t, dir)
	write(t, filepath.Join(dir, ControlPlane.stamp), "{", 0o600)
	assert.False(t, upToDate(dir, "abc", ControlPlane), "half a stamp")
}

func TestTheKubernetesVersionIsStampedIntoTheProgram(t *testing.T) {
	flags := strings.Join(buildFlags("v1.36.3"), " ")
	for _, want := range []string{
		"-trimpath", "-tags=grpcnotrace,notest,selinux", "-ldflags=-s -w ",
		"-X k8s.io/component-base/version.gitVersion=v1.36.3", "-X k8s.io/client-go/pkg/version.gitVersion=v1.36.3",
		"-X k8s.io/component-base/version.gitMajor=1", "-X k8s.io/component-base/version.gitMinor=36",
	} {
		assert.Contains(t, flags, want)
	}
}

func TestMajorAndMinorVersionAreSplit(t *testing.T) {
	for version, want := range map[string][2]string{
		"v1.36.3": {"1", "36"}, "v1.37.0-rc.1": {"1", "37"}, "v2": {"2", ""}, "": {"", ""},
	} {
		major, minor := majorMinor(version)
		assert.Equal(t, want, [2]string{major, minor}, version)
	}
}

func TestProgressSaysWhatAndHowFarAndHowLong(t *testing.T) {
	assert.Equal(t, "building kwok: 40 of at most 972 packages compiled, 1m11s", progressLine("kwok", 40, 972, 71*time.Second))
	assert.Equal(t, "building kwok: 10s", progressLine("kwok", 0, 972, 10*time.Second))
}
