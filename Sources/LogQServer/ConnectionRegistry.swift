import NIOConcurrencyHelpers
import NIOCore

/// The open connections: bounded, and all reachable when the server stops. Touched when one opens or closes, never on
/// the way of a request.
final class ConnectionRegistry: Sendable {
    private struct Contents {
        var channels: [ObjectIdentifier: any Channel] = [:]
        /// Those among them that are only there to be told that they are too many. They take no place.
        var refused: Set<ObjectIdentifier> = []
        var isDraining = false
    }

    private let contents = NIOLockedValueBox(Contents())
    private let connectionsMax: Int

    init(connectionsMax: Int) {
        self.connectionsMax = connectionsMax
    }

    enum Admission {
        case admitted
        case full
        case draining
    }

    /// Notes a new connection. One that is refused for being too many is noted too: it has to be closed like the others.
    func add(_ channel: any Channel) -> Admission {
        contents.withLockedValue { contents in
            guard !contents.isDraining else { return .draining }
            let isFull = contents.channels.count - contents.refused.count >= connectionsMax
            contents.channels[ObjectIdentifier(channel)] = channel
            if isFull { contents.refused.insert(ObjectIdentifier(channel)) }
            return isFull ? .full : .admitted
        }
    }

    func remove(_ channel: any Channel) {
        contents.withLockedValue { contents in
            contents.channels[ObjectIdentifier(channel)] = nil
            contents.refused.remove(ObjectIdentifier(channel))
        }
    }

    var count: Int { contents.withLockedValue { $0.channels.count } }

    /// From now on nobody is admitted. Returns the connections that are open.
    func drain() -> [any Channel] {
        contents.withLockedValue { contents in
            contents.isDraining = true
            return Array(contents.channels.values)
        }
    }
}
