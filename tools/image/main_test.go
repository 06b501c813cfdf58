package main

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// unpack unpacks an archive as a consumer of OCI layouts does.
func unpack(t *testing.T, archive string) string {
	t.Helper()
	in, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	folder := t.TempDir()
	for reader := tar.NewReader(in); ; {
		header, err := reader.Next()
		if err == io.EOF {
			return folder
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, filepath.FromSlash(header.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// layoutOf returns the index of an archive, which lists its image by each of its names.
func layoutOf(t *testing.T, archive string) (v1.ImageIndex, *v1.IndexManifest) {
	t.Helper()
	path, err := layout.FromPath(unpack(t, archive))
	if err != nil {
		t.Fatal(err)
	}
	outer, err := path.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := outer.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	return outer, manifest
}

// indexOf returns the image in an archive, and the name that containerd gives it.
func indexOf(t *testing.T, archive string) (string, v1.ImageIndex) {
	t.Helper()
	outer, manifest := layoutOf(t, archive)
	index, err := outer.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return manifest.Manifests[0].Annotations["io.containerd.image.name"], index
}

func TestTwoBuildsAreEqualAndHoldWhatTheyShould(t *testing.T) {
	folder := t.TempDir()
	var builds [2][]byte
	for i, name := range []string{"a.tar", "b.tar"} {
		output := filepath.Join(folder, name)
		// A small program of this module stands in for the operator's.
		err := run([]string{"--repository=.", "--output=" + output, "--programs=.", "--files=go.mod,go.sum", "--arch=amd64,arm64", "--name=test", "--version=1.2.3"}, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if builds[i], err = os.ReadFile(output); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(builds[0], builds[1]) {
		t.Fatal("two builds differ")
	}
	name, index := indexOf(t, filepath.Join(folder, "a.tar"))
	if name != "docker.io/library/test:1.2.3" {
		t.Errorf("a node would look for another name than %s", name)
	}
	platforms, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(platforms.Manifests) != 2 || platforms.Manifests[1].Platform.Architecture != "arm64" {
		t.Fatalf("platforms: %v", platforms.Manifests)
	}
	config, err := firstImage(t, filepath.Join(folder, "a.tar")).ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != user || config.Config.Labels["org.opencontainers.image.version"] != "1.2.3" {
		t.Fatalf("config: %+v", config.Config)
	}
	var names []string
	for _, header := range headersOf(t, filepath.Join(folder, "a.tar")) {
		if !header.ModTime.IsZero() && header.ModTime.Unix() != 0 || header.Uid != 0 {
			t.Errorf("%s has a time or an owner", header.Name)
		}
		names = append(names, header.Name)
	}
	if !slices.Equal(names, []string{"go.mod", "go.sum"}) {
		t.Fatalf("files: %v", names)
	}
}

func TestAnImageOfReadyProgramsIsAlsoNamedByItsDigest(t *testing.T) {
	folder := t.TempDir()
	for name, mode := range map[string]os.FileMode{"program": 0o750, "text": 0o640} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	output := filepath.Join(folder, "out.tar")
	err := run([]string{"--repository=" + folder, "--output=" + output, "--programs=", "--files=program:bin/program,text", "--writable=/var/it", "--name=example.com/it", "--version=1", "--by-digest"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	_, manifest := layoutOf(t, output)
	var names []string
	for _, entry := range manifest.Manifests {
		names = append(names, entry.Annotations["io.containerd.image.name"])
	}
	if want := []string{"example.com/it:1", "example.com/it@" + manifest.Manifests[0].Digest.String()}; !slices.Equal(names, want) {
		t.Fatalf("names: %v, want %v", names, want)
	}
	modes := map[string]int64{}
	for _, header := range headersOf(t, output) {
		modes[header.Name] = header.Mode
	}
	if modes["bin/program"] != 0o755 || modes["text"] != 0o644 || modes["var/it/"] != 0o777 || modes["var/"] != 0o755 {
		t.Fatalf("modes: %v", modes)
	}
}

// firstImage is the image of an archive's first platform.
func firstImage(t *testing.T, archive string) v1.Image {
	t.Helper()
	_, index := indexOf(t, archive)
	platforms, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	image, err := index.Image(platforms.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// headersOf are the files and folders of the first layer of an archive's first image.
func headersOf(t *testing.T, archive string) []*tar.Header {
	t.Helper()
	image := firstImage(t, archive)
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	var found []*tar.Header
	for reader := tar.NewReader(content); ; {
		header, err := reader.Next()
		if err == io.EOF {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, header)
	}
}

func TestAnImageOfABundle(t *testing.T) {
	output := filepath.Join(t.TempDir(), "bundle.tar")
	err := run([]string{
		"--repository=../..", "--output=" + output, "--programs=", "--name=bundle", "--version=1.2.3",
		"--files=bundle/manifests:manifests,bundle/metadata:metadata", "--labels-of=bundle/metadata/annotations.yaml",
	}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	image := firstImage(t, output)
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.Labels["operators.operatorframework.io.bundle.manifests.v1"] != "manifests/" || config.Config.Entrypoint != nil {
		t.Errorf("config: %+v", config.Config)
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers: %v", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(content)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"manifests/datapower-operator.clusterserviceversion.yaml", "metadata/annotations.yaml"} {
		if !bytes.Contains(text, []byte(name)) {
			t.Errorf("%s is missing", name)
		}
	}
}
