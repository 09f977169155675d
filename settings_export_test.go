package ams

// What the engine and the API read settings with.
var (
	TrustPassword   = (*Settings).trustPassword
	SettingText     = (*Settings).text
	SettingFlag     = (*Settings).flag
	SettingCount    = (*Settings).count
	SettingNumber   = (*Settings).number
	SettingDuration = (*Settings).duration
	SettingList     = (*Settings).list
)
