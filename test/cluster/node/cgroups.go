package node

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const cgroupRoot = "/sys/fs/cgroup"

// controllers are those of cgroup v1 that a kubelet and runc use; name=systemd is a hierarchy without a controller.
var controllers = []string{"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "name=systemd"}

// errNoCgroupV1 says that the controllers are not mounted one by one.
var errNoCgroupV1 = errors.New("this machine has no cgroup v1 controllers mounted, and the tool knows no cgroup v2")

// cgroupsOf lists the directories of the cgroups that a file like /proc/self/cgroup names (cgroups(7)), by controller, for those
// controllers that a node needs.
func cgroupsOf(file string) (map[string]string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("find this process's cgroups: %w", err)
	}
	found := parseCgroups(data)
	for controller, dir := range found {
		if _, err := os.Stat(dir); err != nil {
			delete(found, controller)
		}
	}
	if found["memory"] == "" || found["cpu"] == "" {
		return nil, errNoCgroupV1
	}
	return found, nil
}

// parseCgroups reads lines "4:memory:/a/b" and "5:cpu,cpuacct:/c".
func parseCgroups(data []byte) map[string]string {
	found := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		parts := strings.SplitN(lines.Text(), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for _, wanted := range controllers {
			for listed := range strings.SplitSeq(parts[1], ",") {
				if listed == wanted {
					found[wanted] = filepath.Join(cgroupRoot, strings.TrimPrefix(parts[1], "name="), parts[2])
				}
			}
		}
	}
	return found
}

// cgroupSet are the node's own cgroups, one below each of those this process was started in.
type cgroupSet struct {
	outside, inside []string
}

// makeCgroups makes the node's cgroups; those that a killed node has left are taken over.
func makeCgroups(current map[string]string, name string) (cgroupSet, error) {
	var set cgroupSet
	for _, controller := range controllers {
		outside, ok := current[controller]
		if !ok {
			continue
		}
		inside := filepath.Join(outside, name)
		if err := os.Mkdir(inside, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return set, fmt.Errorf("make the node's cgroup: %w", err)
		}
		set.outside, set.inside = append(set.outside, outside), append(set.inside, inside)
		if controller != "cpuset" {
			continue
		}
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} { // a new cpuset has none, and takes no process
			value, err := os.ReadFile(filepath.Join(outside, file))
			if err == nil {
				err = os.WriteFile(filepath.Join(inside, file), value, 0o644)
			}
			if err != nil {
				return set, fmt.Errorf("make the node's cpuset: %w", err)
			}
		}
	}
	return set, nil
}

// enter moves this process into the cgroups.
func enter(dirs []string) error {
	for _, dir := range dirs {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
			return fmt.Errorf("enter the cgroup: %w", err)
		}
	}
	return nil
}

// removeCgroups removes the trees of cgroups, which must be empty of processes; one that is not yet is tried again by the caller.
func removeCgroups(roots []string) error {
	var failed error
	for _, root := range roots {
		var dirs []string
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				dirs = append(dirs, path)
			}
			return nil // what vanishes meanwhile is gone, which is the aim
		})
		for i := len(dirs) - 1; i >= 0; i-- {
			if e := os.Remove(dirs[i]); e != nil && !errors.Is(e, fs.ErrNotExist) {
				err = errors.Join(err, fmt.Errorf("remove a cgroup of the node: %w", e))
			}
		}
		failed = errors.Join(failed, err)
	}
	return failed
}
