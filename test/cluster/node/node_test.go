package node

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"sigs.k8s.io/yaml"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The lines are those of a machine with cgroup v1 (cgroups(7)): controllers that share a hierarchy, one that a kubelet does not use,
// the hierarchy of systemd, which has none, and the unified one.
const cgroupFile = `12:perf_event:/
11:cpu,cpuacct:/user.slice/a
4:memory:/user.slice/b
1:name=systemd:/init.scope
0::/c
nonsense
`

func TestTheCgroupsOfAProcessAreFoundByController(t *testing.T) {
	assert.Equal(t, map[string]string{
		"cpu": "/sys/fs/cgroup/cpu,cpuacct/user.slice/a", "cpuacct": "/sys/fs/cgroup/cpu,cpuacct/user.slice/a",
		"memory": "/sys/fs/cgroup/memory/user.slice/b", "name=systemd": "/sys/fs/cgroup/systemd/init.scope",
	}, parseCgroups([]byte(cgroupFile)))
}

func TestAMachineWithTheUnifiedHierarchyOnlyIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cgroup")
	require.NoError(t, os.WriteFile(file, []byte("0::/user.slice\n"), 0o600))
	_, err := cgroupsOf(file)
	require.ErrorIs(t, err, errNoCgroupV1)
}

func TestCgroupsAreRemovedFromTheInside(t *testing.T) {
	root := filepath.Join(t.TempDir(), "node")
	require.NoError(t, os.MkdirAll(filepath.Join(root, "kubepods", "pod1"), 0o755))
	require.NoError(t, removeCgroups([]string{root}))
	assert.NoDirExists(t, root)
	require.NoError(t, removeCgroups([]string{root}), "what is gone is no error")
}

func TestWhatAKilledNodeLeftIsRemovedByItsList(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, Remove(dir), "no node was here")
	left := filepath.Join(t.TempDir(), "datapower-node-1")
	require.NoError(t, os.Mkdir(left, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cgroups"), []byte(left+"\n/sys/fs/cgroup/gone"), 0o600))
	require.NoError(t, Remove(dir))
	assert.NoDirExists(t, left)
}

var settings = Settings{
	Dir: "/state/node", BinDir: "/bin", APIServer: "127.0.0.1:6443", AdvertiseAddress: "192.0.2.1",
	ClientCA: "/pki/ca.crt", ServingCert: "/pki/kubelet.crt", ServingKey: "/pki/kubelet.key",
	Kubeconfigs: map[string]string{"kubelet": "/k/kubelet", "kube-proxy": "/k/proxy", "coredns": "/k/coredns"},
}

func TestTheConfigurationIsMadeOfTheSettings(t *testing.T) {
	kubelet := map[string]any{}
	text, err := settings.render("kubelet.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.UnmarshalStrict(text, &kubelet))
	assert.Equal(t, "unix:///state/node/containerd.sock", kubelet["containerRuntimeEndpoint"])
	assert.Equal(t, []any{"10.96.0.10"}, kubelet["clusterDNS"])
	assert.Equal(t, "/pki/kubelet.key", kubelet["tlsPrivateKeyFile"])
	proxy := map[string]any{}
	text, err = settings.render("kube-proxy.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.UnmarshalStrict(text, &proxy))
	assert.Equal(t, map[string]any{"kubeconfig": "/k/proxy"}, proxy["clientConnection"])
	text, err = settings.render("cni.conflist")
	require.NoError(t, err)
	assert.True(t, json.Valid(text))
	assert.Contains(t, string(text), `"subnet": "10.244.1.0/24"`)
	for name, want := range map[string]string{
		"containerd.toml": `address = "/state/node/containerd.sock"`, "Corefile": "kubeconfig /k/coredns", "resolv.conf": "nameserver 10.200.0.1",
	} {
		text, err := settings.render(name)
		require.NoError(t, err)
		assert.Contains(t, string(text), want)
	}
}

func TestAProgramKnowsThatItIsToBeTheNode(t *testing.T) {
	arguments, err := settings.Arguments()
	require.NoError(t, err)
	assert.True(t, Handles(arguments))
	var read Settings
	require.NoError(t, json.Unmarshal([]byte(arguments[1]), &read))
	assert.Equal(t, settings, read)
	assert.False(t, Handles([]string{"up"}))
	require.Error(t, Run([]string{"up"}))
	require.ErrorContains(t, Run([]string{Command, "{"}), "read the node's settings")
}

func files(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	reader := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := reader.Next()
		if err == io.EOF {
			return found
		}
		require.NoError(t, err)
		found[header.Name], err = io.ReadAll(reader)
		require.NoError(t, err)
	}
}

func TestTheImageOfPauseIsOneOfDockerSave(t *testing.T) {
	program := filepath.Join(t.TempDir(), "pause")
	require.NoError(t, os.WriteFile(program, []byte("ELF"), 0o755))
	image, err := pauseArchive(program)
	require.NoError(t, err)
	found := files(t, image)
	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	require.NoError(t, json.Unmarshal(found["manifest.json"], &manifest))
	assert.Equal(t, []string{"localhost/pause:1"}, manifest[0].RepoTags)
	layer := found[manifest[0].Layers[0]]
	assert.Equal(t, map[string][]byte{"pause": []byte("ELF")}, files(t, layer))
	sum := sha256.Sum256(layer)
	assert.Contains(t, string(found[manifest[0].Config]), `"sha256:`+hex.EncodeToString(sum[:])+`"`)
	_, err = pauseArchive(program + "s")
	require.ErrorIs(t, err, os.ErrNotExist)
}

// echo is a server that answers with what it got, once the client has said that this is all.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			text, _ := io.ReadAll(conn)
			_, _ = conn.Write(append([]byte("got "), text...))
			_ = conn.Close()
		}
	}()
	return listener.Addr().String()
}

// conversation writes to a connection, closes that half, and returns the answer.
func conversation(t *testing.T, conn net.Conn, text string) string {
	t.Helper()
	_, err := io.WriteString(conn, text)
	require.NoError(t, err)
	require.NoError(t, conn.(interface{ CloseWrite() error }).CloseWrite())
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	return string(answer)
}

func TestARelayJoinsConnections(t *testing.T) {
	server := echo(t)
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	require.NoError(t, err)
	go relay(listener, func(ctx context.Context) (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "tcp", server) })
	for range 2 {
		conn, err := net.Dial("unix", listener.Addr().String())
		require.NoError(t, err)
		assert.Equal(t, "got hello", conversation(t, conn, "hello"))
	}
	require.NoError(t, listener.Close())
}

func TestARelayClosesWhatItCannotJoin(t *testing.T) {
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	require.NoError(t, err)
	go relay(listener, func(context.Context) (net.Conn, error) { return nil, net.ErrClosed })
	conn, err := net.Dial("unix", listener.Addr().String())
	require.NoError(t, err)
	answer, _ := io.ReadAll(conn)
	assert.Empty(t, answer)
	require.NoError(t, errors.Join(conn.Close(), listener.Close()))
}

func TestTheProxyConnectsAndLosesNothingThatCameWithTheRequest(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(connectProxy))
	defer proxy.Close()
	conn, err := net.Dial("tcp", proxy.Listener.Addr().String())
	require.NoError(t, err)
	server := echo(t)
	_, err = io.WriteString(conn, "CONNECT "+server+" HTTP/1.1\r\nHost: "+server+"\r\n\r\nearly ")
	require.NoError(t, err)
	reader := bufio.NewReader(conn)
	status, err := reader.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "HTTP/1.1 200 Connection Established\r\n", status)
	_, err = io.WriteString(conn, "late")
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	rest, err := io.ReadAll(reader)
	require.NoError(t, err)
	assert.Equal(t, "got early late", strings.TrimSpace(string(rest)))
	require.NoError(t, conn.Close())
}

func TestDialConnectsThroughTheNodesSocket(t *testing.T) {
	dir := t.TempDir()
	_, err := Dial(t.Context(), dir, "127.0.0.1:1")
	require.ErrorIs(t, err, ErrNotRunning)
	listener, err := net.Listen("unix", Settings{Dir: dir}.EgressSocket())
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- serveEgress(listener) }()
	conn, err := Dial(t.Context(), dir, echo(t))
	require.NoError(t, err)
	_, err = io.WriteString(conn, "hello")
	require.NoError(t, err)
	require.NoError(t, conn.(*net.UnixConn).CloseWrite())
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.Equal(t, "got hello", string(answer))
	require.NoError(t, conn.Close())
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	_, err = Dial(t.Context(), dir, closed.Addr().String())
	require.ErrorContains(t, err, "connect to "+closed.Addr().String()+": the node's proxy answers \"HTTP/1.1 502")
	require.NoError(t, listener.Close())
	require.Error(t, <-served)
}

func TestTheProxyRefusesWhatItCannotDo(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	for name, test := range map[string]struct {
		method, host string
		want         int
	}{
		"another method":        {http.MethodGet, "example.com", http.StatusMethodNotAllowed},
		"nobody listens there":  {http.MethodConnect, closed.Addr().String(), http.StatusBadGateway},
		"an address of no sort": {http.MethodConnect, "nowhere", http.StatusBadGateway},
	} {
		t.Run(name, func(t *testing.T) {
			request := httptest.NewRequest(test.method, "http://"+test.host, nil)
			request.Host = test.host
			recorder := httptest.NewRecorder()
			connectProxy(recorder, request)
			assert.Equal(t, test.want, recorder.Code)
		})
	}
}
