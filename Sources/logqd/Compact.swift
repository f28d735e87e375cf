import ArgumentParser
import ItemStore

/// Writes the data file of a directory anew, without the pages that are free.
struct Compact: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make the data file of a stopped daemon as small as it can be.",
        discussion: """
            It checkpoints the journal, copies the data file without its free pages, checks the copy as a start does, \
            and replaces the file by the copy. It needs as much memory as a start, and room for the copy. If it fails \
            or is killed, the old file or the new one is there, and nothing is lost. Run it as the user of the daemon.

            Exit codes: 0 if the file is compact now, 73 if a daemon has the directory, 74 for damage or a lack of \
            room, 78 if a version that this one does not know wrote it.
            """
    )

    @Argument(help: ArgumentHelp("The data directory.", valueName: "dir"))
    var directory: String

    func run() throws {
        try workOffline { logger throws(StoreError) in
            let result = try Compaction.run(directory, logger: logger)
            print("'\(result.dataPath)' had \(result.byteCountBefore) bytes and has \(result.byteCountAfter) now")
        }
    }
}
