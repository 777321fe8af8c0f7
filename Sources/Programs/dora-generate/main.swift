import DoraGenerateCommand

await GenerateProgram.main()
