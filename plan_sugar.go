package whimbrel

import "context"

// PlanUp is Plan of Latest or Next.
//
// Deprecated: it goes once its last callers are gone.
func (m *Migrator) PlanUp(ctx context.Context, options UpOptions) (Plan, error) {
	return m.Plan(ctx, optional(options.Steps, aim{Command: "up"}))
}

// PlanDown is Plan of Back.
//
// Deprecated: it goes once its last callers are gone.
func (m *Migrator) PlanDown(ctx context.Context, options DownOptions) (Plan, error) {
	return m.Plan(ctx, optional(options.Steps, aim{Command: "down", ForceNoDown: options.ForceNoDown}))
}

// PlanRedo is Plan of Redo.
//
// Deprecated: it goes once its last callers are gone.
func (m *Migrator) PlanRedo(ctx context.Context, options RedoOptions) (Plan, error) {
	return m.Plan(ctx, optional(options.Steps, aim{Command: "redo"}))
}
