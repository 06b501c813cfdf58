package olm_test

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/test/cluster/node"
)

// images are the references, by digest, of what the node has.
type images struct {
	lifecycle, registry, gateway string
	catalogues                   map[string]string // by the newest version in them
}

// versions of the operator, made of the same sources: the second replaces the first.
var versions = []string{"0.1.0", "0.1.1"}

// run runs a program in a folder of the repository.
func (w *world) run(folder, program string, args ...string) string {
	w.Helper()
	begin := time.Now()
	cmd := exec.CommandContext(w.Context(), program, args...)
	cmd.Dir = filepath.Join(w.repository, folder)
	out, err := cmd.CombinedOutput()
	if took := time.Since(begin); took > time.Second {
		w.Logf("%5.1fs for %s %s", took.Seconds(), filepath.Base(program), strings.Join(args, " "))
	}
	require.NoError(w, err, "%s %s\n%s", program, strings.Join(args, " "), out)
	return strings.TrimSpace(string(out))
}

// byDigest is in the names of images that OLM does not pull when the node has them.
const byDigest = "@sha256:"

// load gives an archive to the node and returns the name, with part in it, of the archive's image.
func (w *world) load(archive, part string) string {
	w.Helper()
	require.FileExists(w, archive, "make e2e builds it")
	said, err := node.Load(w.Context(), cluster.NodeIn(w.nodeDir), archive)
	require.NoError(w, err, said)
	return w.named(archive, part)
}

// named is the name of an archive's image that contains a text.
func (w *world) named(archive, part string) string {
	w.Helper()
	file, err := os.Open(archive)
	require.NoError(w, err)
	defer func() { _ = file.Close() }()
	for reader := tar.NewReader(file); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(w, err)
		if header.Name != "index.json" {
			continue
		}
		var index struct {
			Manifests []struct {
				Annotations map[string]string `json:"annotations"`
			} `json:"manifests"`
		}
		require.NoError(w, json.NewDecoder(reader).Decode(&index))
		for _, manifest := range index.Manifests {
			if name := manifest.Annotations["io.containerd.image.name"]; strings.Contains(name, part) {
				return name
			}
		}
	}
	w.Fatalf("%s has no image whose name contains %s", archive, part)
	return ""
}

// pack builds an image of the repository's programs, or of files below a folder, and gives it to the node.
func (w *world) pack(name, version, folder string, args ...string) string {
	w.Helper()
	archive := filepath.Join(w.scratch, name+"-"+version+".tar")
	w.run("", filepath.Join(w.repository, "bin", "image"), append([]string{
		"--repository=" + folder, "--output=" + archive, "--arch=" + runtime.GOARCH, "--name=localhost/" + name, "--version=" + version, "--by-digest",
	}, args...)...)
	return w.load(archive, byDigest)
}

// provide builds what this tree gives and loads all images. Each catalogue has the versions up to its own.
func (w *world) provide() images {
	w.Helper()
	dist := filepath.Join(w.repository, "dist")
	found := images{
		lifecycle:  w.load(filepath.Join(dist, "olm", "olm.tar"), byDigest),
		registry:   w.load(filepath.Join(dist, "olm", "opm.tar"), byDigest),
		gateway:    w.load(filepath.Join(dist, "e2e", "datapower-nonprod.tar"), ":"),
		catalogues: map[string]string{},
	}
	operators := map[string]string{
		versions[0]: w.load(filepath.Join(dist, "e2e", "operator.tar"), byDigest),
		versions[1]: w.pack(operator, versions[1], w.repository),
	}
	opm := filepath.Join(w.repository, "bin", "olm", "opm")
	content := filepath.Join(w.scratch, "catalogue")
	w.run(filepath.Join("tools", "bundle"), "go", "build", "-o", filepath.Join(w.scratch, "make-bundle"), ".")
	before := ""
	for _, version := range versions {
		image := operators[version]
		bundle := filepath.Join(w.scratch, "bundle-"+version)
		w.bundle(bundle, content, version, image, "", before) // its digest is known afterwards
		reference := w.pack("bundle", version, bundle, "--programs=", "--files=manifests,metadata,tests", "--labels-of=metadata/annotations.yaml")
		w.bundle(bundle, content, version, image, reference, before)
		before = version

		w.run("", opm, "validate", filepath.Join(content, "configs"))
		require.NoError(w, os.RemoveAll(filepath.Join(content, "cache")))
		w.run("", opm, "serve", filepath.Join(content, "configs"), "--cache-dir="+filepath.Join(content, "cache"), "--cache-only")
		found.catalogues[version] = w.pack("catalogue", version, content, "--programs=", "--files=configs,cache")
	}
	return found
}

// bundle makes the bundle of a version and puts it into the catalogue.
func (w *world) bundle(folder, catalogue, version, image, reference, replaces string) {
	w.Helper()
	w.run("", filepath.Join(w.scratch, "make-bundle"), "--repository="+w.repository, "--output="+folder,
		"--catalog="+filepath.Join(catalogue, "configs"), "--version="+version, "--image="+image, "--bundle-image="+reference, "--replaces="+replaces)
}
