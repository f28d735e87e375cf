/// Applies operations: after a commit, and when recovery replays the journal. Operations on the store are here, those
/// on a collection in `Collection+Applying.swift`.
///
/// During recovery, an operation changes a record only if the record does not contain it yet (`AppliedGroups`). The id
/// table, the population and the sums, which follow from the records, are updated only while the collection serves. At
/// the end of recovery they are built from the records.
struct OperationInterpreter {
    let records: CatalogueRecords

    /// Applies operations of a group, in order. Skips those on collections that were dropped. Throws `corrupt`; during
    /// recovery, `CatalogueRecords.finishRecovery` throws it if an operation does not fit a collection.
    func apply(_ operations: OperationReader, group: UInt64) throws(StoreError) {
        var operations = operations
        var current: Collection?
        while let (number, operation) = try operations.next() {
            switch operation {
            case .create(let record):
                try records.create(number, record, group: group)
            case .drop:
                records.drop(number, group: group)
                current = nil
            case .swap(let name, let other, let otherName):
                try records.swap([(number, name), (other, otherName)], group: group)
            case .source(let position):
                records.note(position, group: group)
            default:
                if current?.number != number { current = records.catalogue[number: number] }
                do throws(StoreError) {
                    try current?.apply(operation, group: group)
                } catch {
                    try records.noteMisfit(error, of: number)
                }
            }
        }
    }
}
