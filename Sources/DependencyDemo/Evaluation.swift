/// Asks the store for the dependencies of packages, and counts the right answers.
///
/// Recall@k is the share of held-out pairs that are among the first k answers. The candidates for a package are all
/// dependencies except those of its training pairs.
struct Evaluation: Sendable {
    static let depths = [10, 50, 100]
    /// The number of questions in flight: the daemon answers one while the other waits.
    static let questionsUnderWay = 2

    struct Question: Sendable {
        let package: Int32
        let known: [Int32]
        let heldOut: [Int32]
    }

    /// The share of the held-out pairs that were found, for each of `depths`.
    var recalls: [Double] = []
    /// The share of the 1 % most popular dependencies, among the first ten answers and among the held-out pairs.
    var popularShare = 0.0
    var popularShareOfTruth = 0.0
    var queryCount = 0
    var duration: Duration = .zero
    var latencies = Latencies()

    /// The first `limit` packages that have held-out pairs.
    static func questions(training: [Pair], heldOut: [Pair], limit: Int) -> [Question] {
        let known = Dictionary(grouping: training, by: \.package).mapValues { $0.map(\.dependency).sorted() }
        let wanted = Dictionary(grouping: heldOut, by: \.package).mapValues { $0.map(\.dependency).sorted() }
        return wanted.keys.sorted().prefix(limit).map {
            Question(package: $0, known: known[$0] ?? [], heldOut: wanted[$0]!)
        }
    }

    /// The 1 % of all dependencies that occur in the most training pairs.
    static func mostPopular(training: [Pair], dependencyCount: Int) -> Set<Int32> {
        var counts = [Int](repeating: 0, count: dependencyCount)
        for pair in training { counts[Int(pair.dependency)] += 1 }
        let ranked = counts.indices.sorted { counts[$0] != counts[$1] ? counts[$0] > counts[$1] : $0 < $1 }
        return Set(ranked.prefix(dependencyCount / 100).map(Int32.init))
    }

    /// Asks all questions, `questionsUnderWay` at a time.
    static func ask(
        _ questions: [Question],
        _ model: TwoTowerModel,
        _ store: some EmbeddingStore,
        popular: Set<Int32>,
        progress: (Int) -> Void
    ) async throws -> Evaluation {
        var evaluation = Evaluation()
        var answers = [[Int32]](repeating: [], count: questions.count)
        let start = ContinuousClock.now
        try await withThrowingTaskGroup(of: (Int, [Int32], Duration).self) { group in
            var next = 0
            func askNext() {
                guard next < questions.count else { return }
                let (number, question) = (next, questions[next])
                let query = model.query(question.package)
                next += 1
                group.addTask {
                    let start = ContinuousClock.now
                    let found = try await store.nearest(to: query, k: depths.max()!, except: question.known)
                    return (number, found, ContinuousClock.now - start)
                }
            }
            for _ in 0..<questionsUnderWay { askNext() }
            while let (number, found, duration) = try await group.next() {
                askNext()
                answers[number] = found
                evaluation.latencies.append(duration)
                evaluation.queryCount += 1
                progress(evaluation.queryCount)
            }
        }
        evaluation.duration = ContinuousClock.now - start
        evaluation.score(answers, questions, popular)
        return evaluation
    }

    mutating func score(_ answers: [[Int32]], _ questions: [Question], _ popular: Set<Int32>) {
        let truth = questions.map(\.heldOut)
        recalls = Self.depths.map { Self.recall(answers, truth, depth: $0) }
        popularShare = Self.share(of: popular, in: answers.map { $0.prefix(10) })
        popularShareOfTruth = Self.share(of: popular, in: truth.map { $0[...] })
    }

    /// The share of all pairs in `truth` that are among the first `depth` answers.
    static func recall(_ answers: [[Int32]], _ truth: [[Int32]], depth: Int) -> Double {
        var found = 0
        for (answer, wanted) in zip(answers, truth) {
            found += Set(answer.prefix(depth)).intersection(wanted).count
        }
        let count = truth.reduce(0) { $0 + $1.count }
        return count == 0 ? 0 : Double(found) / Double(count)
    }

    private static func share(of popular: Set<Int32>, in lists: [ArraySlice<Int32>]) -> Double {
        let all = lists.joined()
        return all.isEmpty ? 0 : Double(all.count { popular.contains($0) }) / Double(all.count)
    }
}
