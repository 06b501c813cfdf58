package registration

// Known tells whether a defaulter was seen.
func (c *Configurations) Known(name string) bool {
	_, known := c.mutating.Get(name)
	return known
}
