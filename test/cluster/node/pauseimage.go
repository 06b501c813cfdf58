package node

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
)

// sandboxImage is the name of the image that holds the namespaces of each pod.
const sandboxImage = "localhost/pause:1"

// pauseArchive makes the image of the program at path, in the format of docker save
// (https://github.com/moby/docker-image-spec), which ctr imports.
func pauseArchive(path string) ([]byte, error) {
	program, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("make the image of pause: %w", err)
	}
	layer, err := archive(entry{"pause", program, 0o755})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(layer)
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Entrypoint": []string{"/pause"}, "User": "65535:65535"},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(sum[:])}},
	})
	if err != nil {
		return nil, fmt.Errorf("make the image of pause: %w", err)
	}
	manifest, err := json.Marshal([]map[string]any{{
		"Config": "config.json", "RepoTags": []string{sandboxImage}, "Layers": []string{"layer.tar"},
	}})
	if err != nil {
		return nil, fmt.Errorf("make the image of pause: %w", err)
	}
	return archive(entry{"manifest.json", manifest, 0o644}, entry{"config.json", config, 0o644}, entry{"layer.tar", layer, 0o644})
}

type entry struct {
	name string
	data []byte
	mode int64
}

func archive(entries ...entry) ([]byte, error) {
	var out bytes.Buffer
	writer := tar.NewWriter(&out)
	for _, e := range entries {
		if err := writer.WriteHeader(&tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.data)), Typeflag: tar.TypeReg}); err != nil {
			return nil, fmt.Errorf("make the image of pause: %w", err)
		}
		if _, err := writer.Write(e.data); err != nil {
			return nil, fmt.Errorf("make the image of pause: %w", err)
		}
	}
	if err := writer.Close(); err != nil {
		return nil, fmt.Errorf("make the image of pause: %w", err)
	}
	return out.Bytes(), nil
}
