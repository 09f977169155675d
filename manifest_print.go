package ams

// YAML prints the manifest as a manifest.yaml. ParseManifest gives an equal
// manifest back if the manifest is valid; one that is not is an error, ErrInvalid.
func (m *Manifest) YAML() ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	data, err := encodeYAML(m)
	if err != nil {
		return nil, Errorf(ErrInternal, "print the manifest: %w", err)
	}
	return data, nil
}
