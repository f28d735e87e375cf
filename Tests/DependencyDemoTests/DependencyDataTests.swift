// Tests of the bundled file, its tokens and its split.

import Testing

@testable import DependencyDemo

@Suite struct DependencyDataTests {
    static let bundled = Result { try DependencyData.bundled() }

    @Test func bundledFileHasTheCountsOfItsReadme() throws {
        let data = try Self.bundled.get()
        #expect(data.packages.count == 63_666)
        #expect(data.pairCount == 277_181)
        #expect(data.dependencyNames.count == 37_056)
        #expect(data.packages.count { $0.dependencies.isEmpty } == 7_785)
        let libc6 = Int32(try #require(data.dependencyNames.firstIndex(of: "libc6")))
        #expect(data.packages.count { $0.dependencies.contains(libc6) } == 21_841)

        let gimp = try #require(data.packages.first { $0.name == "gimp" })
        #expect(gimp.section == "graphics")
        #expect(gimp.dependencies.map { data.dependencyNames[Int($0)] }.contains("libgimp2.0"))
        for package in data.packages { #expect(Set(package.dependencies).count == package.dependencies.count) }
    }

    @Test func parsesPackagesWithAndWithoutDependencies() throws {
        let data = try DependencyData(parsing: "b\tgames\tz a\na\tlibs\t\n".utf8)
        #expect(data.packages.map(\.name) == ["b", "a"])
        #expect(data.dependencyNames == ["a", "z"])
        #expect(data.packages.map(\.dependencies) == [[0, 1], []])
        #expect(throws: DemoError.self) { try DependencyData(parsing: "b\tgames\n".utf8) }
        #expect(throws: DemoError.self) { try DependencyData(parsing: "\tgames\ta\n".utf8) }
    }

    @Test func tokensAreRunsOfLettersAndDigits() {
        #expect(Vocabulary.tokens("libgimp2.0-dev") == ["libgimp2", "0", "dev"])
        #expect(Vocabulary.tokens("g++") == ["g"])
        #expect(Vocabulary.tokens("non-free/Übung_X") == ["non", "free", "bung"])
        #expect(Vocabulary.tokens("+.-") == [])
        let package = DependencyData.Package(name: "gimp-data", section: "graphics", dependencies: [])
        #expect(Vocabulary.tokens(of: package) == ["gimp", "data", "graphics"])
    }

    @Test func vocabularyKeepsTheMostFrequentTokens() {
        let packages = ["a-a-b", "a-b-c", "d"].map {
            DependencyData.Package(name: $0, section: "x", dependencies: [])
        }
        // x and a three times, b twice, c and d once. Between these two, the name decides.
        let vocabulary = Vocabulary(packages, limit: 4)
        #expect(vocabulary.count == 4)
        #expect(vocabulary.numbers(of: packages[0]) == [0, 0, 2, 1])
        #expect(vocabulary.numbers(of: packages[1]) == [0, 2, 3, 1])
        #expect(vocabulary.numbers(of: packages[2]) == [1])
    }

    @Test func splitHoldsOutATenthAndLosesNothing() throws {
        let data = try Self.bundled.get()
        let (training, heldOut) = data.split(seed: 7)
        #expect(heldOut.count == 27_718)
        #expect(training.count + heldOut.count == data.pairCount)
        let pairs = (training + heldOut).map { Int64($0.package) << 32 | Int64($0.dependency) }
        #expect(Set(pairs).count == data.pairCount)
        #expect(data.split(seed: 7).heldOut == heldOut)
        #expect(data.split(seed: 8).heldOut != heldOut)
    }
}
