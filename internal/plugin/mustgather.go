// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// gatheredLines are the last log lines of each container that are gathered.
const gatheredLines = 20000

// gatheredKinds belong to a service by its label. Secrets are the user's and are never read.
var gatheredKinds = []schema.GroupVersionKind{
	{Version: "v1", Kind: "Pod"},
	{Version: "v1", Kind: "Service"},
	{Version: "v1", Kind: "ConfigMap"},
	{Version: "v1", Kind: "ServiceAccount"},
	{Version: "v1", Kind: "PersistentVolumeClaim"},
	{Group: "apps", Version: "v1", Kind: "StatefulSet"},
	{Group: "apps", Version: "v1", Kind: "ControllerRevision"},
	{Group: "policy", Version: "v1", Kind: "PodDisruptionBudget"},
	{Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy"},
	{Group: "autoscaling", Version: "v2", Kind: "HorizontalPodAutoscaler"},
}

// operatorLabel selects the operator's own pods.
const operatorLabel = "app.kubernetes.io/name"

func newMustGather(o Options) *cobra.Command {
	var file, operator string
	cmd := &cobra.Command{
		Use:   "must-gather NAME",
		Short: "Write an archive for support: objects, events and logs, without secrets",
		Long: `Write an archive for support: the service, its monitor, pods and other objects, events, and logs of the gateways and of
the operator. Secrets are not read. Contents of ConfigMaps, values of environment variables and commands are left out,
and what looks like a secret in logs and messages is removed. What a gateway's own log tells in other words stays: look
through the archive before you hand it on.`,
		Args: oneName, ValidArgsFunction: completeNames(o),
	}
	cmd.Flags().StringVar(&file, "file", "", "the archive; default is datapower-<namespace>-<name>.tar.gz; - for standard output")
	cmd.Flags().StringVar(&operator, "operator-namespace", "datapower-system", "namespace of the operator")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := o.Connect()
		if err != nil {
			return err
		}
		files, err := gatherFiles(contextOf(cmd), c, args[0], operator, o.Clock.Now())
		if err != nil {
			return err
		}
		var out bytes.Buffer
		if err := writeArchive(&out, files, o.Clock.Now()); err != nil {
			return err
		}
		if file == "-" {
			_, err := io.Copy(o.Out, &out)
			return err
		}
		if file == "" {
			file = "datapower-" + c.Namespace + "-" + args[0] + ".tar.gz"
		}
		if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
			return fmt.Errorf("write the archive: %w", err)
		}
		fmt.Fprintf(o.Out, "%d files in %s. Look through it before you hand it on.\n", len(files), file)
		return nil
	}
	return cmd
}

// gatherFiles returns the files of the archive by path. What cannot be read is named in errors.txt: half an archive is
// better than none.
func gatherFiles(ctx context.Context, c Clients, name, operator string, now time.Time) (map[string]string, error) {
	f, err := gather(ctx, c, name)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	var problems []error
	note := func(err error) {
		if err != nil {
			problems = append(problems, err)
		}
	}
	var screen strings.Builder
	s := screenOf(f)
	writeService(&screen, s)
	writePods(&screen, s.Pods, now)
	writePeering(&screen, s.Peering, now)
	writeEvents(&screen, s.Events, now)
	files["status.txt"] = redactLines(screen.String())
	note(addOne(ctx, c, v1beta3.GroupVersion.WithKind("DataPowerService"), name, files))
	if f.monitor != nil {
		note(addOne(ctx, c, v1beta2.GroupVersion.WithKind("DataPowerMonitor"), name, files))
	}
	for _, gvk := range gatheredKinds {
		note(addObjects(ctx, c, gvk, files, client.InNamespace(c.Namespace), client.MatchingLabels{datapower.ServiceLabel: name}))
	}
	note(addEvents(f.events, files))
	for i := range f.pods {
		note(addLogs(ctx, c, f.pods[i], "logs/", files))
	}
	note(addOperator(ctx, c, operator, files))
	if err := errors.Join(problems...); err != nil {
		files["errors.txt"] = redactLines(err.Error() + "\n")
	}
	return files, nil
}

func addObjects(ctx context.Context, c Clients, gvk schema.GroupVersionKind, files map[string]string, opts ...client.ListOption) error {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	if err := c.Objects.List(ctx, list, opts...); err != nil {
		return fmt.Errorf("list %s: %w", gvk.Kind, err)
	}
	for i := range list.Items {
		if err := addObject(&list.Items[i], files); err != nil {
			return err
		}
	}
	return nil
}

func addOne(ctx context.Context, c Clients, gvk schema.GroupVersionKind, name string, files map[string]string) error {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(gvk)
	if err := c.Objects.Get(ctx, client.ObjectKey{Namespace: c.Namespace, Name: name}, u); err != nil {
		return fmt.Errorf("read %s %s: %w", gvk.Kind, name, err)
	}
	return addObject(u, files)
}

func addObject(u *unstructured.Unstructured, files map[string]string) error {
	redactObject(u)
	data, err := yaml.Marshal(u.Object)
	if err != nil {
		return fmt.Errorf("write %s %s: %w", u.GetKind(), u.GetName(), err)
	}
	files["objects/"+strings.ToLower(u.GetKind())+"/"+u.GetName()+".yaml"] = string(data)
	return nil
}

func addEvents(events []corev1.Event, files map[string]string) error {
	for i := range events {
		events[i].ManagedFields = nil
		events[i].Message = redactText(events[i].Message)
	}
	data, err := yaml.Marshal(events)
	if err != nil {
		return fmt.Errorf("write events: %w", err)
	}
	files["events.yaml"] = string(data)
	return nil
}

// addOperator adds the operator's own pods and logs.
func addOperator(ctx context.Context, c Clients, namespace string, files map[string]string) error {
	pods := &corev1.PodList{}
	err := c.Objects.List(ctx, pods, client.InNamespace(namespace), client.MatchingLabels{operatorLabel: datapower.OperatorName})
	if err != nil {
		return fmt.Errorf("list the operator's pods in %s: %w", namespace, err)
	}
	if len(pods.Items) == 0 {
		return fmt.Errorf("no pods of the operator in namespace %s: name its namespace with --operator-namespace", namespace)
	}
	var errs []error
	for i := range pods.Items {
		errs = append(errs, addLogs(ctx, c, pods.Items[i], "operator/", files))
	}
	return errors.Join(errs...)
}

// addLogs adds the logs of every container, and of what ran before a restart.
func addLogs(ctx context.Context, c Clients, pod corev1.Pod, folder string, files map[string]string) error {
	restarted := map[string]bool{}
	for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		restarted[s.Name] = s.RestartCount > 0
	}
	var errs []error
	for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, previous := range []bool{false, true} {
			if previous && !restarted[container.Name] {
				continue
			}
			options := &corev1.PodLogOptions{Container: container.Name, Previous: previous, TailLines: ptr.To[int64](gatheredLines)}
			data, err := c.Logs.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, options).DoRaw(ctx)
			if err != nil {
				errs = append(errs, fmt.Errorf("read the logs of %s in pod %s: %w", container.Name, pod.Name, err))
				continue
			}
			name := folder + pod.Name + "/" + container.Name
			if previous {
				name += "-previous"
			}
			files[name+".log"] = redactLines(string(data))
		}
	}
	return errors.Join(errs...)
}

// writeArchive writes a gzipped tar archive of the files, in order of their paths.
func writeArchive(out io.Writer, files map[string]string, now time.Time) error {
	zip := gzip.NewWriter(out)
	archive := tar.NewWriter(zip)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Name: "datapower-must-gather/" + name, Mode: 0o600, Size: int64(len(files[name])), ModTime: now}
		if err := archive.WriteHeader(header); err != nil {
			return fmt.Errorf("write the archive: %w", err)
		}
		if _, err := io.WriteString(archive, files[name]); err != nil {
			return fmt.Errorf("write the archive: %w", err)
		}
	}
	return errors.Join(archive.Close(), zip.Close())
}
