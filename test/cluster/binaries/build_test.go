package binaries

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeGo stands for the go command: `go build` writes a program that names the flags it was built with, waits for the file "gate" if
// there is one in the repository, and fails if there is a file "fail". Every build of a program appends a line to "builds".
const fakeGo = `#!/bin/sh
root=../..
case "$1" in
env) echo "$FAKE_GO_VERSION";;
list)
	if [ "$2" = -m ]; then
		for module in "$@"; do
			case "$module" in
			*/etcd/*) version=v3.6.8;;
			*/kubernetes) version=v1.36.3;;
			*/kwok) version=v0.8.0;;
			*/coredns) version=v1.13.1;;
			*) continue;;
			esac
			echo "{\"Path\":\"$module\",\"Version\":\"$version\"}"
		done
	else
		echo a; echo b
	fi;;
build)
	echo a >&2; echo b >&2
	echo started >> $root/builds
	if [ -e $root/fail ]; then echo "x.go:1: no such thing" >&2; exit 1; fi
	while [ -e $root/gate ]; do sleep 0.01; done
	printf '#!/bin/sh\n# %s CGO_ENABLED=%s\n' "$*" "$CGO_ENABLED" > "$4"; chmod 755 "$4";;
esac
`

// lines collects progress from many goroutines.
type lines struct {
	mutex sync.Mutex
	all   []string
}

func (l *lines) add(line string) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.all = append(l.all, line)
}

func (l *lines) text() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return strings.Join(l.all, "\n")
}

// builder builds with fakeGo.
func builder(t *testing.T) (*Builder, *lines) {
	t.Helper()
	bin := t.TempDir()
	write(t, filepath.Join(bin, "go"), fakeGo, 0o755)
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("FAKE_GO_VERSION", "go1.26.8")
	t.Setenv(EnvDir, "")
	progress := &lines{}
	return &Builder{Root: repository(t), Sets: []Set{ControlPlane}, Progress: progress.add}, progress
}

func builds(t *testing.T, b *Builder) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(b.Root, "builds"))
	if os.IsNotExist(err) {
		return 0
	}
	require.NoError(t, err)
	return strings.Count(string(data), "\n")
}

func stateFiles(t *testing.T, b *Builder) []string {
	t.Helper()
	entries, err := os.ReadDir(StateDir(b.Root))
	require.NoError(t, err)
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestTheFirstBuildMakesAllPrograms(t *testing.T) {
	b, progress := builder(t)
	dir, err := b.Ensure(context.Background())
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(b.Root, ".cluster", "bin"), dir)
	assert.Empty(t, missingIn(dir, ControlPlane))
	program, err := os.ReadFile(filepath.Join(dir, "kubectl"))
	require.NoError(t, err)
	assert.Contains(t, string(program), "gitVersion=v1.36.3")
	assert.Contains(t, string(program), "k8s.io/kubernetes/cmd/kubectl CGO_ENABLED=0")
	assert.Equal(t, map[string]string{
		"go.etcd.io/etcd/server/v3": "v3.6.8", "k8s.io/kubernetes": "v1.36.3", "sigs.k8s.io/kwok": "v0.8.0",
	}, readStamp(dir, ControlPlane).Versions)
	assert.Contains(t, progress.text(), "building etcd v3.6.8\n")
	assert.Contains(t, progress.text(), "building kube-apiserver v1.36.3\n")
	assert.ElementsMatch(t, []string{"bin", "build.lock"}, stateFiles(t, b), "no temporary files")
}

func TestWhatIsUpToDateIsNotBuiltAgain(t *testing.T) {
	b, _ := builder(t)
	for range 2 {
		_, err := b.Ensure(context.Background())
		require.NoError(t, err)
	}
	assert.Equal(t, 6, builds(t, b), "six programs, once")
}

func TestTheProgramsOfARealNodeAreBuiltBesideAndOnlyWhenAskedFor(t *testing.T) {
	b, progress := builder(t)
	t.Chdir(b.Root)
	_, err := b.Ensure(context.Background())
	require.NoError(t, err)
	_, err = Find(RealNode()...)
	require.ErrorIs(t, err, ErrMissing)
	require.ErrorContains(t, err, "looked in "+BinDir(b.Root)+" for kubelet, kube-proxy, coredns, pause")
	for range 2 {
		b.Sets = RealNode()
		dir, err := b.Ensure(context.Background())
		require.NoError(t, err)
		assert.Empty(t, missingIn(dir, RealNode()...))
		assert.Equal(t, 10, builds(t, b), "six programs, then four more, each once")
	}
	assert.Contains(t, progress.text(), "building coredns v1.13.1\n")
	write(t, filepath.Join(b.Root, "tools", "node", "pause", "main.go"), "changed", 0o600)
	_, err = b.Ensure(context.Background())
	require.NoError(t, err)
	assert.Equal(t, 12, builds(t, b), "a change of one set leaves the others alone")
}

func TestWhatIsOutOfDateIsBuiltAgain(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *Builder){
		"after a change of the versions": func(t *testing.T, b *Builder) {
			write(t, filepath.Join(b.Root, "tools", "kubernetes", "go.mod"), "changed", 0o600)
		},
		"after an update of Go": func(t *testing.T, _ *Builder) { t.Setenv("FAKE_GO_VERSION", "go1.26.9") },
		"after a program was lost": func(t *testing.T, b *Builder) {
			require.NoError(t, os.Remove(filepath.Join(BinDir(b.Root), "etcd")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := builder(t)
			_, err := b.Ensure(context.Background())
			require.NoError(t, err)
			change(t, b)
			dir, err := b.Ensure(context.Background())
			require.NoError(t, err)
			assert.Equal(t, 12, builds(t, b))
			assert.Empty(t, missingIn(dir, ControlPlane))
		})
	}
}

func TestAFailedBuildKeepsWhatWasThereAndShowsTheCompilersWords(t *testing.T) {
	b, _ := builder(t)
	dir, err := b.Ensure(context.Background())
	require.NoError(t, err)
	write(t, filepath.Join(b.Root, "tools", "kubernetes", "go.mod"), "changed", 0o600)
	write(t, filepath.Join(b.Root, "fail"), "", 0o600)
	_, err = b.Ensure(context.Background())
	require.ErrorContains(t, err, "x.go:1: no such thing")
	require.ErrorContains(t, err, "go build: etcd: exit status 1")
	assert.Empty(t, missingIn(dir, ControlPlane))
	assert.ElementsMatch(t, []string{"bin", "build.lock"}, stateFiles(t, b))
}

func TestAStoppedBuildStopsTheCompilerAndLeavesNothing(t *testing.T) {
	b, _ := builder(t)
	write(t, filepath.Join(b.Root, "gate"), "", 0o600)
	ctx, cancel := context.WithCancel(context.Background())
	failed := make(chan error, 1)
	go func() {
		_, err := b.Ensure(ctx)
		failed <- err
	}()
	require.Eventually(t, func() bool { return builds(t, b) == 1 }, 30*time.Second, 10*time.Millisecond)
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	assert.Equal(t, []string{"build.lock"}, stateFiles(t, b))
}

func TestLeftoversOfAKilledBuildAreRemoved(t *testing.T) {
	b, _ := builder(t)
	write(t, filepath.Join(StateDir(b.Root), "bin.new-123", "etcd"), "half", 0o755)
	_, err := b.Ensure(context.Background())
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"bin", "build.lock"}, stateFiles(t, b))
}

func TestBuildsOfOneRepositoryWaitForEachOther(t *testing.T) {
	b, progress := builder(t)
	write(t, filepath.Join(b.Root, "gate"), "", 0o600)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			_, err := b.Ensure(context.Background())
			assert.NoError(t, err)
		})
	}
	require.Eventually(t, func() bool { return strings.Contains(progress.text(), "another build of the programs is running") },
		30*time.Second, 10*time.Millisecond)
	require.NoError(t, os.Remove(filepath.Join(b.Root, "gate")))
	both.Wait()
	assert.Equal(t, 6, builds(t, b), "the second build finds the work done")
}

func TestAWaitForAnotherBuildCanBeStopped(t *testing.T) {
	b, progress := builder(t)
	unlock, err := b.lock(context.Background())
	require.NoError(t, err)
	defer unlock()
	ctx, cancel := context.WithCancel(context.Background())
	failed := make(chan error, 1)
	go func() {
		_, err := b.Ensure(ctx)
		failed <- err
	}()
	require.Eventually(t, func() bool { return progress.text() != "" }, 30*time.Second, 10*time.Millisecond)
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	assert.Zero(t, builds(t, b))
}

func TestProgramsOfTheEnvironmentAreNotBuilt(t *testing.T) {
	b, progress := builder(t)
	dir := t.TempDir()
	fill(t, dir)
	t.Setenv(EnvDir, dir)
	found, err := b.Ensure(context.Background())
	require.NoError(t, err)
	assert.Equal(t, dir, found)
	assert.Zero(t, builds(t, b))
	assert.Contains(t, progress.text(), dir)
}

func TestWithoutGoTheErrorSaysWhatIsMissing(t *testing.T) {
	b, _ := builder(t)
	t.Setenv("PATH", t.TempDir())
	_, err := b.Ensure(context.Background())
	require.ErrorContains(t, err, "install Go")
}
