// Tests of training and evaluation against a store in memory.

import Synchronization
import Testing

@testable import DependencyDemo

@Suite struct TrainerTests {
    /// Ten topics. The packages of a topic share a token and need the dependencies of that topic.
    private func makeData() throws -> DependencyData {
        var lines = ""
        for package in 0..<200 {
            let topic = package % 10
            let needs = (0..<6).map { "lib\(topic)-\((package / 10 + $0 * 3) % 8)" }
            lines += "tool\(package)-topic\(topic)\tsection\t\(needs.joined(separator: " "))\n"
        }
        return try DependencyData(parsing: lines.utf8)
    }

    private func makeModel(_ data: DependencyData, extraColumnsMax: Int) -> TwoTowerModel {
        var settings = TwoTowerModel.Settings()
        settings.extraColumnsMax = extraColumnsMax
        settings.dimension = 16
        settings.batch = 64
        return TwoTowerModel(data, Vocabulary(data.packages), settings: settings, seed: 3)
    }

    private func train(
        _ data: DependencyData,
        _ store: LocalStore,
        usesLogQ: Bool,
        _ negatives: Negatives = .inBatch
    ) async throws
        -> (TwoTowerModel, Trainer<LocalStore>.Summary)
    {
        var sampling = NegativeSampling(negatives: negatives, usesLogQ: usesLogQ)
        sampling.uniformCount = 32
        sampling.hardRanks = 5...20
        let model = makeModel(data, extraColumnsMax: sampling.extraColumnsMax)
        let trainer = Trainer(model: model, store: store, sampling: sampling)
        var shares: [Double] = []
        try await trainer.load { shares.append($0) }
        #expect(shares.last == 1)
        var steps: [Int] = []
        let summary = try await trainer.train(on: data.split(seed: 1).training, epochs: 10, seed: 2) {
            steps.append($0.step)
            #expect($0.stepCount == 170)
        }
        #expect(steps == Array(1...170))
        return (model, summary)
    }

    @Test func trainingSendsEverythingToTheStore() async throws {
        let data = try makeData()
        let store = LocalStore()
        let (model, summary) = try await train(data, store, usesLogQ: true)
        print("losses \(summary.losses)")
        #expect(summary.losses.count == 10)
        #expect(summary.losses[9] < summary.losses[0] * 0.7)

        let state = store.state.withLock { $0 }
        #expect(summary.steps == 170)
        #expect(state.steps == Array(1...170))
        #expect(state.putCount == summary.puts + data.dependencyNames.count)
        #expect(state.counts.values.reduce(0, +) == Double(data.split(seed: 1).training.count * 10))
        // The store has the model's embeddings.
        for number in Int32(0)..<Int32(data.dependencyNames.count) {
            #expect(state.vectors[number] == model.item(number))
        }
    }

    @Test func theSameSeedGivesTheSameModel() async throws {
        let data = try makeData()
        let (first, _) = try await train(data, LocalStore(), usesLogQ: true)
        let (second, _) = try await train(data, LocalStore(), usesLogQ: true)
        let (plain, _) = try await train(data, LocalStore(), usesLogQ: false)
        for number in Int32(0)..<Int32(data.dependencyNames.count) {
            #expect(first.item(number) == second.item(number))
        }
        #expect(first.query(0) == second.query(0))
        #expect(first.query(0) != plain.query(0))
    }

    @Test(arguments: [Negatives.mixed, .hard])
    func otherNegativesTeachToo(negatives: Negatives) async throws {
        let data = try makeData()
        let (store, other) = (LocalStore(), LocalStore())
        let (model, summary) = try await train(data, store, usesLogQ: true, negatives)
        let (same, _) = try await train(data, other, usesLogQ: true, negatives)
        let (inBatch, _) = try await train(data, LocalStore(), usesLogQ: true)
        #expect(summary.losses[9] < summary.losses[0] * 0.8, "\(summary.losses)")
        #expect(model.item(0) == same.item(0))
        #expect(model.item(0) != inBatch.item(0))
        let asked = store.state.withLock { $0.hard }
        #expect(asked.count == (negatives == .hard ? 170 : 0))
        for (except, answers) in asked {
            #expect(answers.count <= 5 && answers.allSatisfy { $0.count == 2 })
            #expect(zip(except, answers).allSatisfy { !$0.isEmpty && Set($0).isDisjoint(with: $1) })
        }
    }

    @Test func correctionsAreTheProbabilitiesOfColumns() {
        let drawn = [DrawnItem(dependency: 7, probability: 0.01, logQ: logarithm(0.04))]
        let observation = Observation(batch: [0.1, 0.2, 0.3].map(logarithm), drawn: drawn)
        func near(_ corrections: [Float], _ probabilities: [Double]) -> Bool {
            zip(corrections, probabilities).allSatisfy { abs(exponential(Double($0)) - $1) < 1e-6 }
        }
        let mixed = NegativeSampling(negatives: .mixed, usesLogQ: true)
        // (3 q + 0.01) / 4
        #expect(near(mixed.corrections(observation), [0.0775, 0.1525, 0.2275]))
        #expect(near(mixed.columns(observation).map(\.correction), [0.0325]))
        #expect(mixed.columns(observation).allSatisfy { $0.dependency == 7 && $0.row == nil })

        let hard = NegativeSampling(negatives: .hard, usesLogQ: true)
        #expect(near(hard.corrections(Observation(batch: observation.batch)), [0.1, 0.2, 0.3]))
        let columns = hard.columns([[4, 5], [6, 4]], batch: 2)
        #expect(columns.map(\.row) == [0, 0, 1, 1])
        #expect(columns.map(\.dependency) == [4, 5, 6, 4])
        #expect(near(columns.map(\.correction), [Double](repeating: 2.0 / 800, count: 4)))

        let plain = NegativeSampling(negatives: .inBatch, usesLogQ: false)
        #expect(plain.corrections(observation) == [0, 0, 0])
    }

    @Test func evaluationFindsTheLearnedDependencies() async throws {
        let data = try makeData()
        let store = LocalStore()
        let (model, _) = try await train(data, store, usesLogQ: true)
        let (training, heldOut) = data.split(seed: 1)
        let questions = Evaluation.questions(training: training, heldOut: heldOut, limit: 50)
        #expect(questions.count == 50)
        var asked = 0
        let evaluation = try await Evaluation.ask(questions, model, store, popular: [0]) { asked = $0 }
        #expect(asked == 50)
        #expect(evaluation.queryCount == 50)
        print("recalls \(evaluation.recalls)")
        // Each topic has eight dependencies, of which about five are known. The others must come first.
        #expect(evaluation.recalls[0] > 0.9)
        #expect(evaluation.recalls[2] == 1)
    }

    @Test func recallCountsPairsNotPackages() {
        let answers: [[Int32]] = [[1, 2, 3], [9, 8, 7], []]
        let truth: [[Int32]] = [[1, 3], [7], [5]]
        #expect(Evaluation.recall(answers, truth, depth: 1) == 0.25)
        #expect(Evaluation.recall(answers, truth, depth: 3) == 0.75)
        #expect(Evaluation.recall([], [], depth: 10) == 0)

        var evaluation = Evaluation()
        let questions = truth.map { Evaluation.Question(package: 0, known: [], heldOut: $0) }
        evaluation.score(answers, questions, [1, 7])
        #expect(evaluation.recalls == [0.75, 0.75, 0.75])
        #expect(evaluation.popularShare == 2.0 / 6)
        #expect(evaluation.popularShareOfTruth == 0.5)
    }

    @Test func questionsAreTheFirstPackagesWithHeldOutPairs() {
        let training = [
            Pair(package: 1, dependency: 4), Pair(package: 2, dependency: 9), Pair(package: 1, dependency: 2),
        ]
        let heldOut = [
            Pair(package: 5, dependency: 1), Pair(package: 1, dependency: 3), Pair(package: 3, dependency: 8),
        ]
        let questions = Evaluation.questions(training: training, heldOut: heldOut, limit: 2)
        #expect(questions.map(\.package) == [1, 3])
        #expect(questions.map(\.known) == [[2, 4], []])
        #expect(questions.map(\.heldOut) == [[3], [8]])
        #expect(Evaluation.mostPopular(training: training, dependencyCount: 100) == [2])
    }
}
