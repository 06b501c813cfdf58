package config

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const restMgmt = "top; configure terminal;\n\nrest-mgmt\n  admin-state enabled\n  local-address 0.0.0.0 5554\nexit\n\nwrite memory\n"

// A configuration with everything that the loader knows.
var everything = Files{
	"drouter/config/auto-startup.cfg": []byte(restMgmt + `
exec config:///auto-user.cfg
host-alias "eth0_ipv4_1"
  ip-address 10.1.1.1
exit
usergroup "watchers"
  access-policy */apiconnect/*?Access=r
exit
source-http "probe"
  local-address 0.0.0.0
  port 7879
exit
source-http "off"
  admin-state disabled
  port 7880
exit
domain "apiconnect"
  config-file "apiconnect.cfg"
  visible-domain "default"
exit
domain "sleeping"
  admin-state disabled
exit
`),
	"drouter/config/auto-user.cfg": []byte(`%if% available "user"
user "former"
exit
no user "former"
user "admin"
  password-hashed "$1$12345678$8.nskQfP4gQ8tk5xw6Wa8/"
  access-level privileged
exit
user "eve"
  password-hashed "$5$NaCl$aOrRVimQNvZ2ZLjnAyMvT3WgaUEXoWgwkgyBrhwIg04"
  access-level group-defined
  group "watchers"
exit
%endif%
`),
	"drouter/config/apiconnect/apiconnect.cfg": []byte(`
gateway-peering-group "members"
  mode peer
  peer 10.1.1.2
  peer 10.1.1.3
exit
gateway-peering "rate-limit"
  admin-state disabled
  local-address eth0_ipv4_1
  local-port 16381
  monitor-port 26381
  peer-group "members"
  no enable-ssl
  max-memory 0
  persistence memory
exit
gateway-peering "gwd"
  summary "first"
  peer gw-0.gw-headless
  priority 1
  enable-ssl on
exit
gateway-peering "probe"
  no enable-peer-group
exit
`),
	"drouter/config/sleeping/sleeping.cfg": []byte("gateway-peering \"x\"\nexit\n"),
}

var off = map[string]string{}

// What the loader makes of it.
var everythingLoaded = Config{
	Users: []User{
		{Name: "admin", PasswordHash: "$1$12345678$8.nskQfP4gQ8tk5xw6Wa8/", AccessLevel: "privileged"},
		{Name: "eve", PasswordHash: "$5$NaCl$aOrRVimQNvZ2ZLjnAyMvT3WgaUEXoWgwkgyBrhwIg04", AccessLevel: "group-defined", Group: "watchers"},
	},
	Groups:      []Group{{Name: "watchers", AccessPolicies: []string{"*/apiconnect/*?Access=r"}}},
	RestMgmt:    Listener{Enabled: true, Address: "0.0.0.0", Port: 5554},
	HTTPPorts:   []int{7879},
	HostAliases: map[string]string{"eth0_ipv4_1": "10.1.1.1"},
	Domains: []Domain{
		{Name: "default"},
		{
			Name:       "apiconnect",
			PeerGroups: []PeerGroup{{Name: "members", Enabled: true, Mode: "peer", Peers: []string{"10.1.1.2", "10.1.1.3"}}},
			Peerings: []Peering{
				{
					Name: "gwd", Summary: "first", Enabled: true, LocalPort: 16380, MonitorPort: 26380, EnablePeerGroup: true,
					Peers: []string{"gw-0.gw-headless"}, Priority: 1, EnableSSL: true, Others: off,
				},
				{Name: "probe", Enabled: true, LocalPort: 16380, MonitorPort: 26380, Priority: 100, Others: off},
				{
					Name: "rate-limit", LocalAddress: "eth0_ipv4_1", LocalPort: 16381, MonitorPort: 26381, EnablePeerGroup: true,
					PeerGroup: "members", Priority: 100, Others: map[string]string{"max-memory": "0", "persistence": "memory"},
				},
			},
		},
	},
}

func TestLoad(t *testing.T) {
	loaded := Load(everything)
	assert.Equal(t, everythingLoaded, loaded)

	domain := loaded.Domain("apiconnect")
	assert.Equal(t, []string{"10.1.1.2", "10.1.1.3"}, domain.Members(domain.Peering("rate-limit")))
	assert.Equal(t, []string{"gw-0.gw-headless"}, domain.Members(domain.Peering("gwd")))
	assert.Nil(t, loaded.Domain("sleeping"))
}

func TestLoadReadsPlainFilesWhenThereIsNoStartupFile(t *testing.T) {
	loaded := Load(Files{
		"drouter/config/b.cfg":      []byte("rest-mgmt\n admin-state disabled\nexit"),
		"drouter/config/a.cfg":      []byte(restMgmt),
		"drouter/config/readme.txt": []byte("user x\nexit"),
	})
	assert.Equal(t, Listener{Address: "0.0.0.0", Port: 5554}, loaded.RestMgmt, "b.cfg comes after a.cfg")
	assert.Empty(t, loaded.Users)
}

func TestRestMgmtIsOffUnlessSwitchedOn(t *testing.T) {
	for name, text := range map[string]string{
		"absent":           "",
		"no admin-state":   "rest-mgmt\n  local-address 0.0.0.0 5554\nexit",
		"deleted later":    restMgmt + "no rest-mgmt\n",
		"disabled":         "rest-mgmt\n  admin-state disabled\nexit",
		"in another place": "domain x\nexit",
	} {
		assert.False(t, Load(Files{"drouter/config/auto-startup.cfg": []byte(text)}).RestMgmt.Enabled, name)
	}
}

func TestExecInACircleEnds(t *testing.T) {
	Load(Files{"drouter/config/auto-startup.cfg": []byte("exec config:///auto-startup.cfg\nexec config:///auto-startup.cfg\n")})
}

// input is what the chart mounts for a service with two users, two domains, a certificate and an archive.
func input(t *testing.T) Files {
	template, err := os.ReadFile(chart("health-check.cfg"))
	require.NoError(t, err)
	return Files{
		"init/debug":                   []byte("false"),
		"init/password-method":         []byte("md5"),
		"init/health-check.cfg":        template,
		"init/health.port":             []byte("7879"),
		"init/health.priority":         []byte("info"),
		"init/user.0.name":             []byte("admin"),
		"init/user.1.name":             []byte(`e"v\e`),
		"user-commands/user.0":         []byte("access-level privileged\n"),
		"user-commands/user.1":         []byte("access-level group-defined\ngroup \"watchers\"\n"),
		"user/0/password":              []byte("helloworld"),
		"user/1/password":              []byte("hunter2"),
		"user/1/salt":                  []byte("NaCl"),
		"user/1/method":                []byte("sha256"),
		"init/domain.0.name":           []byte("apiconnect"),
		"init/domain.0.cert.0.type":    []byte("usrcerts"),
		"init/domain.0.cert.0.subpath": []byte("deep/er"),
		"domain/0/cert/0/tls.crt":      []byte("certificate"),
		"domain/0/config/0/a.cfg":      []byte("gateway-peering \"gwd\"\n  priority 7\nexit"),
		"domain/0/config/1/a.cfg":      []byte("gateway-peering \"gwd\"\n  local-port 16390\nexit\n"),
		"domain/0/local/0/files.tgz":   archive(t, "sub/hello.txt", "hello"),
		"init/domain.1.name":           []byte("default"),
		"domain/1/config/0/web.cfg":    []byte(restMgmt),
	}
}

func chart(file string) string {
	return filepath.Join("..", "..", "..", "helm-charts", "datapowerservice", "files", file)
}

func archive(t *testing.T, name, content string) []byte {
	t.Helper()
	var buffer bytes.Buffer
	zipped := gzip.NewWriter(&buffer)
	members := tar.NewWriter(zipped)
	require.NoError(t, members.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content))}))
	_, err := members.Write([]byte(content))
	require.NoError(t, err)
	require.NoError(t, members.Close())
	require.NoError(t, zipped.Close())
	return buffer.Bytes()
}

func TestAssemble(t *testing.T) {
	files, err := Assemble(input(t), nil)
	require.NoError(t, err)
	assert.Equal(t, "certificate", string(files["root/secure/usrcerts/apiconnect/deep/er/tls.crt"]))
	assert.Equal(t, "hello", string(files["drouter/local/apiconnect/sub/hello.txt"]))
	loaded := Load(files)
	assert.Equal(t, []User{
		{Name: "admin", PasswordHash: "$1$12345678$8.nskQfP4gQ8tk5xw6Wa8/", AccessLevel: "privileged"},
		{Name: `e"v\e`, PasswordHash: "$5$NaCl$aOrRVimQNvZ2ZLjnAyMvT3WgaUEXoWgwkgyBrhwIg04", AccessLevel: "group-defined", Group: "watchers"},
	}, loaded.Users)
	assert.True(t, loaded.RestMgmt.Enabled)
	assert.Equal(t, []int{7879}, loaded.HTTPPorts)
	peering := loaded.Domain("apiconnect").Peering("gwd")
	assert.Equal(t, uint64(7), peering.Priority, "of the first file")
	assert.Equal(t, 16390, peering.LocalPort, "of the second file")
}

// The chart's script is the authority; Assemble has to make the same of the same input.
func TestAssembleAgreesWithTheInitScript(t *testing.T) {
	script, err := filepath.Abs(chart("init.sh"))
	require.NoError(t, err)
	if info, err := os.Stat(script); err != nil || info.Size() == 0 {
		t.Skip("the chart has no init script")
	}
	root := t.TempDir()
	given := input(t)
	for name, content := range given {
		file := filepath.Join(root, "input", filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, content, 0o600))
	}
	command := exec.CommandContext(t.Context(), "sh", script, "true")
	command.Env = append(os.Environ(),
		"INITROOT="+root+"/input", "DRROOT="+root+"/output/drouter", "SECUREROOT="+root+"/output/root/secure")
	output, err := command.CombinedOutput()
	require.NoError(t, err, string(output))
	made, err := ReadDir(root + "/output")
	require.NoError(t, err)
	assembled, err := Assemble(given, nil)
	require.NoError(t, err)

	assert.Equal(t, Load(made), Load(assembled))
	for _, folder := range []string{"drouter/local/apiconnect/sub", "root/secure/usrcerts/apiconnect/deep/er"} {
		assert.Equal(t, made.In(folder), assembled.In(folder))
	}
}

func TestAssembleRefusesWhatTheInitScriptRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(Files)
	}{
		{"a user without password", func(f Files) { delete(f, "user/0/password") }},
		{"an unknown method", func(f Files) { f["user/0/method"] = []byte("sha512") }},
		{"an archive that is none", func(f Files) { f["domain/0/local/0/files.tgz"] = []byte("x") }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			given := input(t)
			test.change(given)
			_, err := Assemble(given, nil)
			require.ErrorIs(t, err, ErrInput)
		})
	}
}

func TestReadDirFollowsMountedConfigMaps(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "init", "..2026"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(root, "init", "..2026", "debug"), []byte("true"), 0o600))
	require.NoError(t, os.Symlink("..2026", filepath.Join(root, "init", "..data")))
	require.NoError(t, os.Symlink(filepath.Join("..data", "debug"), filepath.Join(root, "init", "debug")))
	files, err := ReadDir(root)
	require.NoError(t, err)
	assert.Equal(t, Files{"init/debug": []byte("true")}, files)
	_, err = ReadDir(filepath.Join(root, "missing"))
	require.Error(t, err)
}
