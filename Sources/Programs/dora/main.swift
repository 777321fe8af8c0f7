// All commands in one program, which installations have behind each name: most of a command's size is what all share.

import DoraGenerateCommand
import DoraPackCommand
import DoraServe
import DoraServeCommand

#if canImport(Glibc)
import Glibc
#endif

let usage = """
    dora serves a base model and its DoRA or LoRA adapters from a CPU.

      dora generate …   dora-generate: answer a prompt
      dora serve …      dora-serve: answer many, each with the adapter that it names
      dora pack …       dora-pack: write a base model as one file that starts at once
      dora --version    the release, the kernels in use and the CPU's features

    Each command has --help.

    """

var arguments = CommandLine.arguments[...]
var name = arguments.popFirst().flatMap { $0.split(separator: "/").last.map(String.init) } ?? ""
if !name.hasPrefix("dora-") { name = "dora-" + (arguments.popFirst() ?? "") }
switch name {
case "dora-generate": await GenerateProgram.main(Array(arguments))
case "dora-pack": PackProgram.main(Array(arguments))
case "dora-serve": await ServeProgram.main(Array(arguments))
case "dora---version": try Terminal.write(Version.report + "\n")
case "dora---help", "dora--h", "dora-help": try Terminal.write(usage)
default:
    Terminal.note("dora: there is no command '\(name.dropFirst(5))'; dora --help lists them")
    exit(ExitStatus.usage.rawValue)
}
