"""The command of the small study."""

from small_study import Small

if __name__ == "__main__":
    Small().main()
