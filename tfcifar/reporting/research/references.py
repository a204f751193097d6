"""What a report may cite: authors, title, where to find it."""

REFERENCES = {
    "krizhevsky2009": "A. Krizhevsky. Learning Multiple Layers of Features from Tiny Images. Technical report, "
    "University of Toronto, 2009.",
    "sandler2018": "M. Sandler, A. Howard, M. Zhu, A. Zhmoginov, L.-C. Chen. MobileNetV2: Inverted Residuals and "
    "Linear Bottlenecks. CVPR 2018. arXiv:1801.04381.",
    "howard2017": "A. Howard et al. MobileNets: Efficient Convolutional Neural Networks for Mobile Vision "
    "Applications. 2017. arXiv:1704.04861.",
    "howard2019": "A. Howard et al. Searching for MobileNetV3. ICCV 2019. arXiv:1905.02244.",
    "tan2019": "M. Tan, Q. Le. EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks. ICML 2019. "
    "arXiv:1905.11946.",
    "he2016": "K. He, X. Zhang, S. Ren, J. Sun. Deep Residual Learning for Image Recognition. CVPR 2016. "
    "arXiv:1512.03385.",
    "jordan2024": "K. Jordan. 94% on CIFAR-10 in 3.29 Seconds on a Single GPU. 2024. arXiv:2404.00498.",
    "muon": "K. Jordan et al. Muon: An optimizer for hidden layers in neural networks. 2024. "
    "kellerjordan.github.io/posts/muon.",
    "hu2018": "J. Hu, L. Shen, G. Sun. Squeeze-and-Excitation Networks. CVPR 2018. arXiv:1709.01507.",
    "woo2018": "S. Woo, J. Park, J.-Y. Lee, I. S. Kweon. CBAM: Convolutional Block Attention Module. ECCV 2018. "
    "arXiv:1807.06521.",
    "vaswani2017": "A. Vaswani et al. Attention Is All You Need. NeurIPS 2017. arXiv:1706.03762.",
    "loshchilov2019": "I. Loshchilov, F. Hutter. Decoupled Weight Decay Regularization. ICLR 2019. arXiv:1711.05101.",
    "zhang2018": "H. Zhang, M. Cisse, Y. Dauphin, D. Lopez-Paz. mixup: Beyond Empirical Risk Minimization. ICLR 2018. "
    "arXiv:1710.09412.",
    "yun2019": "S. Yun et al. CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features. "
    "ICCV 2019. arXiv:1905.04899.",
    "zhong2020": "Z. Zhong, L. Zheng, G. Kang, S. Li, Y. Yang. Random Erasing Data Augmentation. AAAI 2020. "
    "arXiv:1708.04896.",
    "devries2017": "T. DeVries, G. Taylor. Improved Regularization of Convolutional Neural Networks with Cutout. 2017. "
    "arXiv:1708.04552.",
    "cubuk2019": "E. Cubuk, B. Zoph, D. Mane, V. Vasudevan, Q. Le. AutoAugment: Learning Augmentation Strategies from "
    "Data. CVPR 2019. arXiv:1805.09501.",
    "cubuk2020": "E. Cubuk, B. Zoph, J. Shlens, Q. Le. RandAugment: Practical Automated Data Augmentation with a "
    "Reduced Search Space. NeurIPS 2020. arXiv:1909.13719.",
    "hendrycks2020": "D. Hendrycks et al. AugMix: A Simple Data Processing Method to Improve Robustness and "
    "Uncertainty. ICLR 2020. arXiv:1912.02781.",
    "szegedy2016": "C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna. Rethinking the Inception Architecture for "
    "Computer Vision. CVPR 2016. arXiv:1512.00567.",
    "hinton2015": "G. Hinton, O. Vinyals, J. Dean. Distilling the Knowledge in a Neural Network. 2015. "
    "arXiv:1503.02531.",
    "polyak1992": "B. Polyak, A. Juditsky. Acceleration of Stochastic Approximation by Averaging. SIAM J. Control "
    "and Optimization 30(4), 1992. doi:10.1137/0330046.",
    "izmailov2018": "P. Izmailov, D. Podoprikhin, T. Garipov, D. Vetrov, A. G. Wilson. Averaging Weights Leads to "
    "Wider Optima and Better Generalization. UAI 2018. arXiv:1803.05407.",
    "touvron2019": "H. Touvron, A. Vedaldi, M. Douze, H. Jegou. Fixing the train-test resolution discrepancy. NeurIPS "
    "2019. arXiv:1906.06423.",
    "caruana2006": "R. Caruana, A. Munson, A. Niculescu-Mizil. Getting the Most Out of Ensemble Selection. ICDM 2006. "
    "doi:10.1109/ICDM.2006.76.",
    "wolpert1992": "D. Wolpert. Stacked Generalization. Neural Networks 5(2), 1992. doi:10.1016/S0893-6080(05)80023-1.",
    "kuncheva2003": "L. Kuncheva, C. Whitaker. Measures of Diversity in Classifier Ensembles. Machine Learning 51, "
    "2003. doi:10.1023/A:1022859003006.",
    "lakshminarayanan2017": "B. Lakshminarayanan, A. Pritzel, C. Blundell. Simple and Scalable Predictive Uncertainty "
    "Estimation using Deep Ensembles. NeurIPS 2017. arXiv:1612.01474.",
    "gal2016": "Y. Gal, Z. Ghahramani. Dropout as a Bayesian Approximation. ICML 2016. arXiv:1506.02142.",
    "houlsby2011": "N. Houlsby, F. Huszar, Z. Ghahramani, M. Lengyel. Bayesian Active Learning for Classification and "
    "Preference Learning. 2011. arXiv:1112.5745.",
    "guo2017": "C. Guo, G. Pleiss, Y. Sun, K. Weinberger. On Calibration of Modern Neural Networks. ICML 2017. "
    "arXiv:1706.04599.",
    "naeini2015": "M. P. Naeini, G. Cooper, M. Hauskrecht. Obtaining Well Calibrated Probabilities Using Bayesian "
    "Binning. AAAI 2015. doi:10.1609/aaai.v29i1.9602.",
    "geifman2019": "Y. Geifman, G. Uziel, R. El-Yaniv. Bias-Reduced Uncertainty Estimation for Deep Neural "
    "Classifiers. ICLR 2019. arXiv:1805.08206.",
    "hendrycks2017": "D. Hendrycks, K. Gimpel. A Baseline for Detecting Misclassified and Out-of-Distribution Examples "
    "in Neural Networks. ICLR 2017. arXiv:1610.02136.",
    "liu2020": "W. Liu, X. Wang, J. Owens, Y. Li. Energy-based Out-of-distribution Detection. NeurIPS 2020. "
    "arXiv:2010.03759.",
    "lee2018": "K. Lee, K. Lee, H. Lee, J. Shin. A Simple Unified Framework for Detecting Out-of-Distribution Samples "
    "and Adversarial Attacks. NeurIPS 2018. arXiv:1807.03888.",
    "sun2022": "Y. Sun, Y. Ming, X. Zhu, Y. Li. Out-of-Distribution Detection with Deep Nearest Neighbors. ICML 2022. "
    "arXiv:2204.06507.",
    "hendrycks2019": "D. Hendrycks, T. Dietterich. Benchmarking Neural Network Robustness to Common Corruptions and "
    "Perturbations. ICLR 2019. arXiv:1903.12261.",
    "goodfellow2015": "I. Goodfellow, J. Shlens, C. Szegedy. Explaining and Harnessing Adversarial Examples. ICLR "
    "2015. arXiv:1412.6572.",
    "madry2018": "A. Madry, A. Makelov, L. Schmidt, D. Tsipras, A. Vladu. Towards Deep Learning Models Resistant to "
    "Adversarial Attacks. ICLR 2018. arXiv:1706.06083.",
    "wilson1927": "E. B. Wilson. Probable Inference, the Law of Succession, and Statistical Inference. J. American "
    "Statistical Association 22(158), 1927. doi:10.2307/2276774.",
    "mcnemar1947": "Q. McNemar. Note on the sampling error of the difference between correlated proportions or "
    "percentages. Psychometrika 12, 1947. doi:10.1007/BF02295996.",
    "efron1993": "B. Efron, R. Tibshirani. An Introduction to the Bootstrap. Chapman & Hall, 1993.",
    "benjamini1995": "Y. Benjamini, Y. Hochberg. Controlling the False Discovery Rate. J. Royal Statistical Society B "
    "57(1), 1995. doi:10.1111/j.2517-6161.1995.tb02031.x.",
    "barz2020": "B. Barz, J. Denzler. Do We Train on Test Data? Purging CIFAR of Near-Duplicates. J. Imaging 6(6), "
    "2020. arXiv:1902.00423.",
    "northcutt2021": "C. Northcutt, L. Jiang, I. Chuang. Confident Learning: Estimating Uncertainty in Dataset Labels. "
    "JAIR 70, 2021. arXiv:1911.00068.",
}
