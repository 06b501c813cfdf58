// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// shells are the shells that must run the init script. The gateway's own is bash in POSIX mode.
var shells = map[string][]string{
	"dash":        {"dash"},
	"busybox ash": {"busybox", "ash"},
	"bash":        {"bash", "--posix"},
}

// eachShell runs a test once per shell that this machine has, and requires dash.
func eachShell(t *testing.T, test func(t *testing.T, shell []string)) {
	t.Helper()
	for name, shell := range shells {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(shell[0]); err != nil && name != "dash" {
				t.Skipf("this machine has no %s", name)
			}
			t.Parallel()
			test(t, shell)
		})
	}
}

// content is what a Secret or ConfigMap holds.
type content map[string]string

// container is the file system of a gateway's container, with the volumes of a rendered pod mounted as the kubelet does.
type container struct {
	t       *testing.T
	root    string
	shell   []string
	command []string
	// environment of the init script, over the defaults.
	environment map[string]string
	// output is what the script printed when it last ran.
	output string
}

// newContainer mounts the volumes of the pod that spec renders. Contents are named "secret/x" or "configmap/x".
func newContainer(t *testing.T, shell []string, spec string, contents map[string]content) *container {
	t.Helper()
	c := &container{t: t, root: t.TempDir(), shell: shell, environment: map[string]string{}}
	c.mount(spec, contents)
	return c
}

// mount puts the volumes of a rendered pod in place, over those of an earlier one. The rest of the file system stays.
func (c *container) mount(spec string, contents map[string]content) {
	c.t.Helper()
	m := render(c.t, values(c.t, minimal, spec))
	set := decode[appsv1.StatefulSet](c.t, m.find("StatefulSet"))
	all := map[string]content{}
	for name, data := range contents {
		all[name] = data
	}
	for _, object := range m.objects {
		if object.GetKind() == "ConfigMap" {
			data := content{}
			for key, value := range object.Object["data"].(map[string]any) {
				data[key] = value.(string)
			}
			all["configmap/"+object.GetName()] = data
		}
	}
	require.NoError(c.t, os.RemoveAll(c.path("/opt/datapower-operator")))
	gateway := set.Spec.Template.Spec.Containers[0]
	c.command = append(append([]string{}, gateway.Command...), gateway.Args...)
	for _, mounted := range gateway.VolumeMounts {
		for _, volume := range set.Spec.Template.Spec.Volumes {
			if volume.Name == mounted.Name {
				c.mountVolume(mounted.MountPath, volume, all)
			}
		}
	}
}

func (c *container) mountVolume(path string, volume corev1.Volume, all map[string]content) {
	c.t.Helper()
	var sources []string
	switch {
	case volume.Secret != nil:
		sources = []string{"secret/" + volume.Secret.SecretName}
	case volume.ConfigMap != nil:
		sources = []string{"configmap/" + volume.ConfigMap.Name}
	case volume.Projected != nil:
		for _, source := range volume.Projected.Sources {
			sources = append(sources, "configmap/"+source.ConfigMap.Name)
		}
	default:
		require.NoError(c.t, os.MkdirAll(c.path(path), 0o755))
		return
	}
	// The kubelet keeps the content in a folder of its own and links to it.
	real := filepath.Join(c.path(path), "..2026_11_20")
	require.NoError(c.t, os.MkdirAll(real, 0o755))
	require.NoError(c.t, os.Symlink("..2026_11_20", filepath.Join(c.path(path), "..data")))
	for _, source := range sources {
		data, found := all[source]
		require.True(c.t, found, "the test has no %s", source)
		for key, value := range data {
			require.NoError(c.t, os.WriteFile(filepath.Join(real, key), []byte(value), 0o555))
			link := filepath.Join(c.path(path), key)
			if err := os.Symlink(filepath.Join("..data", key), link); !errors.Is(err, os.ErrExist) {
				require.NoError(c.t, err)
			}
		}
	}
}

// path is a path of the container on this machine.
func (c *container) path(path string) string { return filepath.Join(c.root, path) }

// Folders of the gateway.
const (
	drouter = "/opt/ibm/datapower/drouter"
	secure  = "/opt/ibm/datapower/root/secure"
)

// startProgram stands for the gateway. It prints what it was given, and what is typed on its terminal.
const startProgram = `#!/bin/sh
read -r line
echo "started with $# arguments, umask $(umask), LC_ALL=${LC_ALL-unset}, typed $line"
`

// run runs the init script with the start program.
func (c *container) run() error {
	c.t.Helper()
	start := c.path("/start.sh")
	require.NoError(c.t, os.WriteFile(start, []byte(startProgram), 0o755))
	arguments := append(append([]string{}, c.shell[1:]...), c.path(c.command[1]), start)
	command := exec.Command(c.shell[0], append(arguments, c.command[3:]...)...)
	command.Env = append(os.Environ(), "DRROOT="+c.path(drouter), "SECUREROOT="+c.path(secure),
		"INITROOT="+c.path("/opt/datapower-operator"), "EXTRAROOT="+c.path("/usr/local/extra"), "TMPDIR="+c.t.TempDir())
	for name, value := range c.environment {
		command.Env = append(command.Env, name+"="+value)
	}
	command.Stdin = strings.NewReader("hello\n")
	output, err := command.CombinedOutput()
	c.output = string(output)
	return err
}

// mustRun runs the script, which must succeed and start the gateway.
func (c *container) mustRun() {
	c.t.Helper()
	require.NoError(c.t, c.run(), "%s", c.output)
	require.Contains(c.t, c.output, "started with")
}

// mustFail runs the script, which must fail and not start the gateway, and returns what it printed.
func (c *container) mustFail() string {
	c.t.Helper()
	require.Error(c.t, c.run(), "%s", c.output)
	require.NotContains(c.t, c.output, "started with")
	return c.output
}

// read is the text of a file of the container.
func (c *container) read(path string) string {
	c.t.Helper()
	text, err := os.ReadFile(c.path(path))
	require.NoError(c.t, err)
	return string(text)
}

// write puts a file into the container.
func (c *container) write(path, text string) {
	c.t.Helper()
	require.NoError(c.t, os.MkdirAll(filepath.Dir(c.path(path)), 0o755))
	require.NoError(c.t, os.WriteFile(c.path(path), []byte(text), 0o644))
}

// files lists the files below a folder of the container.
func (c *container) files(folder string) []string {
	c.t.Helper()
	var found []string
	err := filepath.Walk(c.path(folder), func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			found = append(found, strings.TrimPrefix(path, c.path(folder)+"/"))
		}
		return err
	})
	if !errors.Is(err, os.ErrNotExist) {
		require.NoError(c.t, err)
	}
	return found
}

// member is an entry of an archive.
type member struct {
	name, text, link string
	mode             int64
}

// archive is a gzip'd tar archive.
func archive(t *testing.T, members ...member) string {
	t.Helper()
	var buffer bytes.Buffer
	zipped := gzip.NewWriter(&buffer)
	writer := tar.NewWriter(zipped)
	for _, m := range members {
		header := &tar.Header{Name: m.name, Mode: 0o644, Size: int64(len(m.text)), Typeflag: tar.TypeReg}
		if m.mode != 0 {
			header.Mode = m.mode
		}
		switch {
		case m.link != "":
			header.Typeflag, header.Linkname = tar.TypeSymlink, m.link
		case strings.HasSuffix(m.name, "/"):
			header.Typeflag, header.Mode = tar.TypeDir, 0o755
		}
		require.NoError(t, writer.WriteHeader(header))
		_, err := writer.Write([]byte(m.text))
		require.NoError(t, err)
	}
	require.NoError(t, writer.Close())
	require.NoError(t, zipped.Close())
	return buffer.String()
}
