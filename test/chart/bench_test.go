// SPDX-License-Identifier: Apache-2.0

package chart_test

import "testing"

// BenchmarkRender is the cost of rendering a small service, validation against the schema included.
func BenchmarkRender(b *testing.B) {
	loaded := loadChart(b)
	for b.Loop() {
		if _, err := renderFiles(loaded, release{releaseName, releaseNamespace}, values(b, minimal)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRenderWithoutSchema is the same without the validation.
func BenchmarkRenderWithoutSchema(b *testing.B) {
	loaded := loadChart(b)
	loaded.Schema = nil
	for b.Loop() {
		if _, err := renderFiles(loaded, release{releaseName, releaseNamespace}, values(b, minimal)); err != nil {
			b.Fatal(err)
		}
	}
}
