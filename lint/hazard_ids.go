package lint

// ID names a hazard. There are these and no others, so that a slip in one does not compile.
type ID struct{ name string }

// String gives the name as annotations and the configuration write it.
func (id ID) String() string { return id.name }

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.name), nil }

// UnmarshalText implements encoding.TextUnmarshaler. A name that is not known is kept: what
// is read may have been written by another version.
func (id *ID) UnmarshalText(text []byte) error {
	id.name = string(text)
	return nil
}

// The hazards, of which hazards/*.md holds the records.
var (
	createIndexNotConcurrent                   = ID{"create-index-not-concurrent"}
	dropIndexNotConcurrent                     = ID{"drop-index-not-concurrent"}
	reindexNotConcurrent                       = ID{"reindex-not-concurrent"}
	concurrentlyInTransaction                  = ID{"concurrently-in-transaction"}
	concurrentIndexOnPartitionedParent         = ID{"concurrent-index-on-partitioned-parent"}
	concurrentIndexIfNotExists                 = ID{"concurrent-index-if-not-exists"}
	concurrentIndexShortLockTimeout            = ID{"concurrent-index-short-lock-timeout"}
	dropIndexBackingConstraint                 = ID{"drop-index-backing-constraint"}
	dropIndexConcurrentlyMultiple              = ID{"drop-index-concurrently-multiple"}
	functionOfIndex                            = ID{"function-of-index"}
	redundantIndex                             = ID{"redundant-index"}
	tableRewriteCommand                        = ID{"table-rewrite-command"}
	refreshMatviewNotConcurrent                = ID{"refresh-matview-not-concurrent"}
	refreshMatviewConcurrentlyNeedsUniqueIndex = ID{"refresh-matview-concurrently-needs-unique-index"}
	addColumnVolatileDefault                   = ID{"add-column-volatile-default"}
	addColumnSerial                            = ID{"add-column-serial"}
	addColumnIdentity                          = ID{"add-column-identity"}
	addColumnGeneratedStored                   = ID{"add-column-generated-stored"}
	addColumnConstrainedDomain                 = ID{"add-column-constrained-domain"}
	addColumnInlineCheck                       = ID{"add-column-inline-check"}
	addColumnInlineUnique                      = ID{"add-column-inline-unique"}
	addColumnNotNullNoDefault                  = ID{"add-column-not-null-no-default"}
	addColumnInlineReferences                  = ID{"add-column-inline-references"}
	addColumnJson                              = ID{"add-column-json"}
	wideTable                                  = ID{"wide-table"}
	setNotNullScan                             = ID{"set-not-null-scan"}
	dropNotNull                                = ID{"drop-not-null"}
	dropDefaultOfRequiredColumn                = ID{"drop-default-of-required-column"}
	identityAlways                             = ID{"identity-always"}
	setGeneratedExpression                     = ID{"set-generated-expression"}
	renameColumn                               = ID{"rename-column"}
	dropColumn                                 = ID{"drop-column"}
	alterColumnTypeRewrite                     = ID{"alter-column-type-rewrite"}
	alterColumnTypeRecheck                     = ID{"alter-column-type-recheck"}
	alterColumnTypeDependents                  = ID{"alter-column-type-dependents"}
	alterColumnNarrowing                       = ID{"alter-column-narrowing"}
	addCheckWithoutNotValid                    = ID{"add-check-without-not-valid"}
	addFkWithoutNotValid                       = ID{"add-fk-without-not-valid"}
	fkNotValidOnPartitioned                    = ID{"fk-not-valid-on-partitioned"}
	notValidThenValidateSameTransaction        = ID{"not-valid-then-validate-same-transaction"}
	addUniqueWithoutUsingIndex                 = ID{"add-unique-without-using-index"}
	addPkWithoutUsingIndex                     = ID{"add-pk-without-using-index"}
	addPkUsingIndexNullable                    = ID{"add-pk-using-index-nullable"}
	constraintUsingInvalidIndex                = ID{"constraint-using-invalid-index"}
	addExclusionConstraint                     = ID{"add-exclusion-constraint"}
	alterDomainAddConstraint                   = ID{"alter-domain-add-constraint"}
	alterDomainSetNotNull                      = ID{"alter-domain-set-not-null"}
	alterDomainValidate                        = ID{"alter-domain-validate"}
	dropForeignKey                             = ID{"drop-foreign-key"}
	dropUniqueOrPrimaryKey                     = ID{"drop-unique-or-primary-key"}
	fkTypeMismatch                             = ID{"fk-type-mismatch"}
	multipleForeignKeysInOneMigration          = ID{"multiple-foreign-keys-in-one-migration"}
	disableTrigger                             = ID{"disable-trigger"}
	notEnforcedConstraint                      = ID{"not-enforced-constraint"}
	dropTable                                  = ID{"drop-table"}
	dropSchema                                 = ID{"drop-schema"}
	dropDatabase                               = ID{"drop-database"}
	dropView                                   = ID{"drop-view"}
	dropFunction                               = ID{"drop-function"}
	dropSequence                               = ID{"drop-sequence"}
	dropType                                   = ID{"drop-type"}
	dropExtension                              = ID{"drop-extension"}
	dropOwned                                  = ID{"drop-owned"}
	dropPublication                            = ID{"drop-publication"}
	dropCascade                                = ID{"drop-cascade"}
	renameTable                                = ID{"rename-table"}
	moveTableToSchema                          = ID{"move-table-to-schema"}
	renameSchema                               = ID{"rename-schema"}
	renameType                                 = ID{"rename-type"}
	renameEnumValue                            = ID{"rename-enum-value"}
	enumValueUsedInTransaction                 = ID{"enum-value-used-in-transaction"}
	truncate                                   = ID{"truncate"}
	truncateCascade                            = ID{"truncate-cascade"}
	setLoggedUnlogged                          = ID{"set-logged-unlogged"}
	setTablespace                              = ID{"set-tablespace"}
	setAccessMethod                            = ID{"set-access-method"}
	createsWhatExists                          = ID{"creates-what-exists"}
	usesObjectBeforeCreation                   = ID{"uses-object-before-creation"}
	attachPartitionScan                        = ID{"attach-partition-scan"}
	attachPartitionScansDefault                = ID{"attach-partition-scans-default"}
	createPartitionOfScansDefault              = ID{"create-partition-of-scans-default"}
	detachPartitionNotConcurrent               = ID{"detach-partition-not-concurrent"}
	detachConcurrentlyWithDefault              = ID{"detach-concurrently-with-default"}
	alterOnPartitionedParent                   = ID{"alter-on-partitioned-parent"}
	scanWhileHoldingStrongLock                 = ID{"scan-while-holding-strong-lock"}
	backfillInDdlTransaction                   = ID{"backfill-in-ddl-transaction"}
	localSettingEnds                           = ID{"local-setting-ends"}
	multiTableLocksInOneTransaction            = ID{"multi-table-locks-in-one-transaction"}
	lockUpgradeInTransaction                   = ID{"lock-upgrade-in-transaction"}
	lockTimeoutDisabled                        = ID{"lock-timeout-disabled"}
	timeoutTooLong                             = ID{"timeout-too-long"}
	explicitLockTable                          = ID{"explicit-lock-table"}
	nonIdempotentRerun                         = ID{"non-idempotent-rerun"}
	opaqueDynamicDdl                           = ID{"opaque-dynamic-ddl"}
	unbatchedDataChange                        = ID{"unbatched-data-change"}
	sequenceRestart                            = ID{"sequence-restart"}
	sequenceNarrowing                          = ID{"sequence-narrowing"}
	rlsEnableWithoutPolicy                     = ID{"rls-enable-without-policy"}
	restrictivePolicy                          = ID{"restrictive-policy"}
	policyNeedsSetting                         = ID{"policy-needs-setting"}
	rewriteRule                                = ID{"rewrite-rule"}
	triggerRefusesWrites                       = ID{"trigger-refuses-writes"}
	catalogChange                              = ID{"catalog-change"}
	endsOtherSessions                          = ID{"ends-other-sessions"}
	dropReplicationSlot                        = ID{"drop-replication-slot"}
	loginRefused                               = ID{"login-refused"}
	sessionDefaultChange                       = ID{"session-default-change"}
	revokePrivilege                            = ID{"revoke-privilege"}
	ownerChange                                = ID{"owner-change"}
	hostAccess                                 = ID{"host-access"}
	unreadMark                                 = ID{"unread-mark"}
	serverSetting                              = ID{"server-setting"}
	publicationWithoutReplicaIdentity          = ID{"publication-without-replica-identity"}
	unpublishTable                             = ID{"unpublish-table"}
	replicaIdentityNothing                     = ID{"replica-identity-nothing"}
	observedRewrite                            = ID{"observed-rewrite"}
	observedScan                               = ID{"observed-scan"}
	notRehearsed                               = ID{"not-rehearsed"}
	statementFails                             = ID{"statement-fails"}
	cachedPlanBreak                            = ID{"cached-plan-break"}
	alterColumnTypeCachedPlan                  = ID{"alter-column-type-cached-plan"}
	uniqueIndexDataDependent                   = ID{"unique-index-data-dependent"}
	fkMissingIndex                             = ID{"fk-missing-index"}
)
