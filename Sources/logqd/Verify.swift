import ArgumentParser
import ItemStore
import Logging
import SystemSupport

/// Loads a directory as a start does, with all its checks, and writes nothing.
struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a data directory for damage, without serving or changing it.",
        discussion: """
            It makes every check that a start makes, and needs as much memory. Exit codes: 0 if there is no damage, 73 \
            if a daemon writes to the directory, 74 for damage, 78 if a version that this one does not know wrote it.
            """
    )

    @Argument(help: ArgumentHelp("The data directory.", valueName: "dir"))
    var directory: String

    func run() throws {
        try workOffline { logger throws(StoreError) in
            let store = try ItemStore.open(StoreConfiguration(directory: directory, isReadOnly: true), logger: logger)
            let statistics = store.statistics()
            store.close()
            print(
                "no damage in '\(statistics.directory)': \(statistics.collectionCount) collections, "
                    + "\(statistics.itemCount) items, \(statistics.idCount) ids, last group \(statistics.lastGroup)"
            )
        }
    }
}

/// Does the work of a subcommand on a directory that no daemon serves. Logs its error, and throws the exit code of it.
func workOffline(_ body: (Logger) throws(StoreError) -> Void) throws(ExitCode) {
    prepareProcess()
    let logger = Logger(label: "logqd")
    do throws(StoreError) {
        try body(logger)
    } catch {
        logger.critical("\(error)")
        throw ExitCode(processExitCode(of: error))
    }
}
