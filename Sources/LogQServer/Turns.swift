import NIOCore

/// Lets the connections of one event loop that have much to do take turns with its sockets.
///
/// An event loop runs all tasks that are due, those too that were added meanwhile, before it looks at its sockets again.
/// A connection that went on in a task of its own would keep all others from being read, the more so two of them. So one
/// task goes on with all of them, and comes back a moment after it has ended: in between the loop has nothing to run,
/// and looks.
final class Turns {
    /// How long the sockets wait, about.
    private static let work = TimeAmount.milliseconds(2)
    /// Longer than the loop takes to find that it has nothing to run.
    private static let pause = TimeAmount.microseconds(100)

    private let eventLoop: any EventLoop
    private var waiting: [Connection] = []
    private var isScheduled = false

    init(on eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Calls `connection.takeTurn()` soon.
    func add(_ connection: Connection) {
        waiting.append(connection)
        guard !isScheduled else { return }
        isScheduled = true
        let turns = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.execute { turns.value.run() }
    }

    private func run() {
        let end = NIODeadline.now() + Self.work
        repeat {
            let connections = waiting
            waiting = []
            for connection in connections { connection.takeTurn() }
        } while !waiting.isEmpty && NIODeadline.now() < end
        isScheduled = !waiting.isEmpty
        guard isScheduled else { return }
        let turns = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: Self.pause) { turns.value.run() }
    }
}
