//go:build tools

// Package tools names the program that is built here, so that its parts stay in go.mod.
package tools

import _ "k8s.io/kubernetes/cmd/kube-apiserver"
