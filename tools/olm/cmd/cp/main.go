// Command cp copies one file to another path, with its mode. OLM's Job that unpacks a bundle calls `/bin/cp -Rv FROM TO` in OLM's
// image, which here has no other programs than OLM's.
package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "cp:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) > 0 && args[0] == "-Rv" {
		args = args[1:]
	}
	if len(args) != 2 {
		return fmt.Errorf("want: cp [-Rv] FROM TO, have %q", args)
	}
	from, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	to, err := os.OpenFile(args[1], os.O_CREATE|os.O_TRUNC|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	if _, err := io.Copy(to, from); err != nil {
		_ = to.Close()
		return err
	}
	return to.Close()
}
