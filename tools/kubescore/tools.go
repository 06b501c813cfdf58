//go:build tools

// Package kubescore pins kube-score, which scores manifests, apart from the other tools: it pulls in libraries of another age.
package kubescore

import _ "github.com/zegl/kube-score/cmd/kube-score"
