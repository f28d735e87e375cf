import NIOCore

/// Lets the busy connections of one event loop take turns with the loop's sockets.
///
/// An event loop runs all due tasks, including those added meanwhile, before it polls its sockets again. If every busy
/// connection continued in its own tasks, the loop would read no socket until all of them were done. So one task
/// continues all busy connections for a bounded time, and is scheduled again after a pause. In the pause the loop has
/// no task to run, and polls its sockets.
final class Turns {
    /// How long the task runs, roughly, before the loop polls its sockets.
    private static let work = TimeAmount.milliseconds(2)
    /// Longer than the loop takes to notice that no task is due.
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
