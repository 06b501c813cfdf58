// Package guides holds no code of its own. Its tests hold the guides in docs/guides to what the API server and the chart take,
// and the links of all documents to files that exist.
package guides
