// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"github.com/datapower-operator/datapower-operator/api/datapower"
)

// ErrNoPods says that a service has no pods whose logs could be read.
var ErrNoPods = errors.New("the service has no pods")

func newLogs(o Options) *cobra.Command {
	var follow, previous bool
	var tail int64
	cmd := &cobra.Command{
		Use: "logs NAME", Short: "Print the logs of all gateways, each line with its pod", Args: oneName, ValidArgsFunction: completeNames(o),
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as lines come, until interrupted")
	cmd.Flags().BoolVarP(&previous, "previous", "p", false, "logs of the containers before their last restart")
	cmd.Flags().Int64Var(&tail, "tail", -1, "how many of the last lines of each gateway; -1 for all")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := o.Connect()
		if err != nil {
			return err
		}
		pods, err := podsOf(contextOf(cmd), c, args[0])
		if err != nil {
			return err
		}
		if len(pods) == 0 {
			return fmt.Errorf("%w: %s/%s", ErrNoPods, c.Namespace, args[0])
		}
		options := &corev1.PodLogOptions{Container: datapower.ContainerName, Follow: follow, Previous: previous}
		if tail >= 0 {
			options.TailLines = &tail
		}
		return printLogs(contextOf(cmd), c, pods, options, o.Out)
	}
	return cmd
}

// printLogs prints pod after pod, or all at once when it follows. One pod's error does not hide the others' logs.
func printLogs(ctx context.Context, c Clients, pods []corev1.Pod, options *corev1.PodLogOptions, out io.Writer) error {
	lines := &lineWriter{out: out}
	errs := make([]error, len(pods))
	var wait sync.WaitGroup
	for i := range pods {
		name := pods[i].Name
		if !options.Follow {
			errs[i] = copyLogs(ctx, c, name, options, lines)
			continue
		}
		wait.Go(func() { errs[i] = copyLogs(ctx, c, name, options, lines) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

func copyLogs(ctx context.Context, c Clients, pod string, options *corev1.PodLogOptions, lines *lineWriter) error {
	stream, err := c.Logs.CoreV1().Pods(c.Namespace).GetLogs(pod, options).Stream(ctx)
	if err != nil {
		return fmt.Errorf("read the logs of pod %s: %w", pod, err)
	}
	defer stream.Close()
	reader := bufio.NewReader(stream)
	for {
		text, err := reader.ReadString('\n')
		if text != "" {
			lines.write(pod, text)
		}
		if err != nil {
			if errors.Is(err, io.EOF) || ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("read the logs of pod %s: %w", pod, err)
		}
	}
}

// lineWriter keeps lines of several pods whole.
type lineWriter struct {
	mutex sync.Mutex
	out   io.Writer
}

func (w *lineWriter) write(pod, text string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if text[len(text)-1] != '\n' {
		text += "\n"
	}
	_, _ = fmt.Fprintf(w.out, "[%s] %s", pod, text)
}
