import PackedStrings
import WireProtocol

// Options of several verbs. Each verb has its own help text for them.

extension OptionKey<Int> {
    static func timeout(_ placeholder: String, _ summary: String) -> OptionKey<Int> {
        let range = 1...Limits.timeoutMillisecondsMax
        return OptionKey(
            "timeout_ms",
            .integer(range),
            placeholder,
            help: "\(summary), \(range.lowerBound) to \(range.upperBound), "
                + "default \(Limits.timeoutMillisecondsDefault) unless the daemon was started with another"
        )
    }
}

extension DefaultedOptionKey<PackedStrings> {
    static func except(_ help: String) -> DefaultedOptionKey<PackedStrings> {
        DefaultedOptionKey("except", .ids, default: PackedStrings()) { _ in help }
    }
}

extension DefaultedOptionKey<[ItemColumn]> {
    /// `columns` are the columns that the verb offers.
    static func with(_ columns: [ItemColumn], help: String) -> DefaultedOptionKey<[ItemColumn]> {
        DefaultedOptionKey("with", .someOf(columns), default: []) { _ in help }
    }
}
