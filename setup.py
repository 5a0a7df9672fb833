"""Package metadata; everything about the tools is in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

_RUNTIME = ("pyzmq>=26", "av>=17", "prometheus-client>=0.21", "paho-mqtt>=2.1")
EXTRAS = {
    "train": ["tensorflow-cpu>=2.21,<2.22", "keras>=3.15,<4", "pillow>=11", "scipy>=1.14"],
    "run": ["tensorflow-cpu>=2.21,<2.22", "keras>=3.15,<4", *_RUNTIME],
    "onnx": ["onnxruntime>=1.22", "onnx>=1.18", "tf2onnx>=1.17", "scipy>=1.14", *_RUNTIME],
    "report": ["matplotlib>=3.9"],
    "notebook": ["matplotlib>=3.9", "pandas>=2.2"],
    "page": ["starlette>=0.41", "uvicorn>=0.32"],
    "label": ["starlette>=0.41", "uvicorn>=0.32", "av>=17", "pillow>=11"],
    "scenes": ["av>=17", "pillow>=11"],
    "store": ["fsspec>=2025.3", "redis>=6"],
    "scale": ["ray[default]>=2.60"],
}
EXTRAS["all"] = sorted({package for extra in EXTRAS.values() for package in extra})
EXTRAS["test"] = [
    *EXTRAS["all"],
    "fsspec[http]>=2025.3",
    "highspy>=1.9",
    "hypothesis>=6.100",
    "pytest>=8",
    "pytest-benchmark>=5",
    "pytest-xdist>=3.6",
    "schemathesis>=4",
    "selenium>=4.20",
]
EXTRAS["docs"] = [
    "sphinx>=8.2",
    "furo>=2025.9",
    "myst-nb>=1.3",  # the pages, and the notebook of examples/, which it executes
    "ipykernel>=6.29",
    *EXTRAS["report"],
    *_RUNTIME,
]
EXTRAS["dev"] = [*EXTRAS["test"], *EXTRAS["docs"], "ruff>=0.9", "mypy>=1.14", "types-PyYAML>=6", "cosmic-ray>=8.7"]

setup(
    name="mainstream",
    version="0.1.0",
    description="Choose layer sharing and frame rates for many DNN applications on one camera, proven optimal.",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    keywords=["scheduling", "deep learning", "video analytics", "edge computing", "layer sharing", "transfer learning"],
    python_requires=">=3.11",
    packages=find_packages(include=["mainstream", "mainstream.*"]),
    package_data={"mainstream": ["py.typed", "labelling/page.html", "web/page.*", "web/*.js", "web/icon.svg"]},
    install_requires=[
        "numpy>=2.1",
        "numba>=0.61",
        "ortools>=9.12",
        "pydantic>=2.10",
        "pyyaml>=6.0.2",
        "rich>=13.9",
        "typer>=0.28",
    ],
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["mainstream = mainstream.__main__:main"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Multimedia :: Video",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
